import { Fragment, type ReactNode } from "react";
import classes from "./facts.module.css";

export type FactLine = readonly [name: ReactNode, value: ReactNode];
/** `null` and `false` leave a line out. */
export type FactLines = readonly (FactLine | null | false)[];

/** What is known of one thing, line by line. */
export function Facts({ facts, compact = false }: { facts: FactLines; compact?: boolean }) {
  return (
    <dl className={classes.facts} data-compact={compact || undefined}>
      {facts.map((fact, at) =>
        fact ? (
          <Fragment key={at}>
            <dt>{fact[0]}</dt>
            <dd>{fact[1]}</dd>
          </Fragment>
        ) : null,
      )}
    </dl>
  );
}
