// Where frames come from: the camera, a photo, or a film.

export const MOST_PHOTO_SIDE = 1280;

/** What a failed start of the camera means, in words for its user. */
export function explainCamera(error) {
  const texts = {
    NotAllowedError: ["The camera was refused", "Allow it for this page, by the camera sign in the address bar or in the browser's settings, then try again."],
    NotFoundError: ["There is no camera", "None was found on this computer. Plug one in and try again, or drop a photo or a film here."],
    NotReadableError: ["The camera is in use", "Another program or page holds it. Close that one, then try again."],
    OverconstrainedError: ["That camera is gone", "Choose another one, or plug it in again."],
    NoCamerasHere: ["No camera at this address", "Browsers give cameras only to pages at 127.0.0.1, localhost or over https. Photos and films work all the same."],
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

/** Give the camera back, and the film's memory. */
export function closeVideo(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load();
  }
}

/** A photo, upright, as large as it can be shown and painted in the browser. */
export async function openPhoto(file) {
  let whole;
  try {
    whole = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name ?? "the file"} is neither a photo nor a film that this browser can show`);
  }
  const bitmap = await scaled(whole, MOST_PHOTO_SIDE, true);
  whole.close();
  return bitmap;
}

/** A bitmap of this long side, a copy also where nothing is to be scaled. */
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
