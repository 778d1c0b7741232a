/** After a dialog whose opener is gone by then (what it did took it away) the focus would be nowhere: it goes there. */
import type { RefObject } from "react";

const AFTER = 350; // a dialog gives the focus back when its leaving is over

export function returnFocus(to: RefObject<HTMLElement | null>): void {
  setTimeout(() => {
    if (document.activeElement === document.body || document.activeElement === null) to.current?.focus();
  }, AFTER);
}
