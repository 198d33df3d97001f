// Where frames come from: the camera, a photo, or a film.

export const MAX_PHOTO_SIDE = 1280;

/** What a camera that does not start means, in words for its user. */
export function explainCamera(error) {
  const texts = {
    NotAllowedError: ["The camera is blocked", "Allow it for this page with the camera symbol in the address bar, or in the browser's settings. Then try again."],
    NotFoundError: ["There is no camera", "None was found on this computer. Plug one in and try again, or drop a photo or a film here."],
    NotReadableError: ["The camera is in use", "Another program or page uses it. Close that one, then try again."],
    OverconstrainedError: ["That camera is gone", "Choose another one, or plug it in again."],
    NoCamerasHere: ["No camera at this address", "Browsers allow cameras only on pages at localhost or over https. Photos and films work anyway."],
  };
  const [title, text] = texts[error.name] ?? ["The camera does not start", `${error.message || error.name}. Try again, or drop a photo or a film here.`];
  return { title, text };
}

/** The camera as a playing video element. */
export async function openCamera(video, deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw Object.assign(new Error("no mediaDevices"), { name: "NoCamerasHere" });
  }
  const wanted = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const device = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  const stream = await navigator.mediaDevices.getUserMedia({ video: { ...wanted, ...device } });
  closeVideo(video);
  video.srcObject = stream;
  await video.play();
  return stream;
}

/** The cameras there are, once one has been allowed: before that they have no names. */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}

/** A film as a looping video element. */
export async function openFilm(video, file) {
  closeVideo(video);
  video.src = URL.createObjectURL(file);
  video.loop = true;
  try {
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error(`${file.name} is not a film that this browser can play`));
    });
  } finally {
    video.onloadeddata = video.onerror = null;
  }
  await video.play();
}

/** Release the camera, and the film's memory. */
export function closeVideo(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load();
  }
}

/** A photo, upright, at most as large as it is shown. */
export async function openPhoto(file) {
  let whole;
  try {
    whole = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name ?? "the file"} is neither a photo nor a film that this browser can show`);
  }
  const bitmap = await scaled(whole, MAX_PHOTO_SIDE, true);
  whole.close();
  return bitmap;
}

/** A bitmap with this long side; always a copy. */
export async function scaled(source, longSide, neverLarger = false) {
  const width = source.videoWidth || source.width;
  const height = source.videoHeight || source.height;
  const factor = neverLarger ? Math.min(1, longSide / Math.max(width, height)) : longSide / Math.max(width, height);
  const even = (side) => Math.max(2, Math.round((side * factor) / 2) * 2); // films want even sides
  if (factor === 1) {
    return createImageBitmap(source);
  }
  return createImageBitmap(source, { resizeWidth: even(width), resizeHeight: even(height), resizeQuality: "medium" });
}
