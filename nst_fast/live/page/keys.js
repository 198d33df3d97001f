// Single-letter keys, for those who want them; never while something is typed or chosen, nor with Ctrl and the like.

/**
 * @param {HTMLInputElement} wanted a box: whether keys are used
 * @param {(key: string) => boolean} act returns whether the key means something
 */
export function listenToKeys(wanted, act) {
  addEventListener("keydown", (event) => {
    const target = event.target;
    const typing = target.closest?.("select, textarea, dialog, input:not([type=radio], [type=file])");
    // What has the focus is pressed by the space bar; a style that is chosen already has nothing to be pressed for.
    const pressing = event.key === " " && target.closest?.("button, input:not([type=radio]:checked)");
    if (!wanted.checked || typing || pressing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
      return;
    }
    if (act(event.key.toLowerCase())) {
      event.preventDefault();
    }
  });
}
