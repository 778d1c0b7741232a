/** Works on the whole store: first tried out, then done. */
import type { Issue } from "@/api/documents";

export type HealthAct = NonNullable<Issue["act"]>["name"];
export type Work = "sweep" | "optimize" | "verify" | "repair";

export const isWork = (act: HealthAct): act is Work => act in WORKS;

interface WorkWords {
  title: string;
  /** Of the button that does it. */
  act: string;
  what: string;
  trying: string;
  doing: string;
  failed: string;
}

export const WORKS: Record<Work, WorkWords> = {
  sweep: {
    title: "Sweep",
    act: "Sweep now",
    what: "Removes checkpoints that the rules of retention let go, and gives back the bytes that nothing needs any more. The last checkpoint of an unfinished run is never among them.",
    trying: "Looking what would go",
    doing: "Sweeping",
    failed: "The sweep did not go through",
  },
  optimize: {
    title: "Optimize",
    act: "Optimize now",
    what: "Sweeps, then writes packs anew that hold much of what is gone, joins small ones, and compresses cold ones better. Jobs may go on meanwhile.",
    trying: "Looking what would be written anew",
    doing: "Writing packs anew",
    failed: "It was not optimized to the end",
  },
  verify: {
    title: "Verify",
    act: "Verify now",
    what: "Reads back what is stored and compares it with its hashes. What is damaged is marked, so that it is never restored. Nothing else is changed.",
    trying: "",
    doing: "Reading everything back",
    failed: "It was not verified to the end",
  },
  repair: {
    title: "Repair",
    act: "Repair now",
    what: "Verifies, then mends what can be mended from intact copies of the same content. Nothing is deleted; the catalog as it was is kept.",
    trying: "Reading the whole store; of a large one that takes its time",
    doing: "Verifying and mending",
    failed: "It was not repaired to the end",
  },
};

/** Issues that a person looks at and decides: where. */
export const PLACES: Record<Exclude<HealthAct, Work>, { to: string; label: string }> = {
  runs: { to: "/runs?status=orphaned&status=interrupted&status=failed&status=running", label: "Look at the runs" },
  backups: { to: "/backups", label: "Look at the backups" },
  streams: { to: "/streams", label: "Look at the streams" },
};
