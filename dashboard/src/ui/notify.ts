/** Short words about what was done. Loaded when there is something to say for the first time. */
import { messageOf } from "./states";

export type Note = { title: string; message?: string; tone?: "good" | "bad" | "plain"; stays?: boolean };

const waiting: Note[] = [];
let show: ((note: Note) => void) | null = null;
let wake: (() => void) | null = null;

/** Calls back when there is something to show and nobody yet who shows it. */
export function whenNeeded(then: typeof wake): void {
  wake = then;
  if (waiting.length > 0) wake?.();
}

/** The component that shows them is there. */
export function showBy(by: typeof show): void {
  show = by;
  for (const note of waiting.splice(0)) show?.(note);
}

export function notify(note: Note): void {
  if (show) show(note);
  else {
    waiting.push(note);
    wake?.();
  }
}

export const notifyError = (title: string, error: unknown): void =>
  notify({ title, message: messageOf(error), tone: "bad", stays: true });
