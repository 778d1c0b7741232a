import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./filter-bar.module.css";

/** The filters of a list, in a row that wraps. */
export function FilterBar({ label, children, clear }: { label: string; children: ReactNode; clear: (() => void) | null }) {
  return (
    <div role="search" aria-label={label} className={classes.bar}>
      {children}
      {clear && (
        <Button variant="subtle" color="gray" onClick={clear}>
          Clear filters
        </Button>
      )}
    </div>
  );
}
