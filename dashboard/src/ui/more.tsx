import { Button } from "@mantine/core";
import { useEffect, useRef } from "react";
import classes from "./more.module.css";

/** The next page of a list that grows. The focus stays here, and says so when there is no more. */
export function More(props: { shown: number; hasMore: boolean; isLoading: boolean; then: () => void; noun: string }) {
  const { shown, hasMore, isLoading, then, noun } = props;
  const end = useRef<HTMLParagraphElement>(null);
  const asked = useRef(false);
  useEffect(() => {
    if (!hasMore && asked.current) end.current?.focus();
    asked.current = false;
  }, [hasMore]);
  if (hasMore)
    return (
      <div className={classes.more}>
        <Button
          variant="default"
          loading={isLoading}
          onClick={() => {
            asked.current = true;
            then();
          }}
        >
          Show more {noun}
        </Button>
      </div>
    );
  return (
    <p ref={end} tabIndex={-1} className={classes.end}>
      {shown > 20 ? `These are all ${shown.toLocaleString()} ${noun}.` : ""}
    </p>
  );
}
