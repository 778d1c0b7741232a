import { Button, Group, Text } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import classes from "./ask-twice.module.css";

/** A button for what cannot be taken back: it asks, says what will be lost, and asks once more. In place, so that the answer
 * stands where the question was; the second yes is another button in another place than the first. */
export function AskTwice(props: {
  label: string;
  first: ReactNode;
  second: ReactNode;
  last: string;
  pending?: boolean;
  disabled?: boolean;
  size?: string;
  onYes: () => void;
}) {
  const [stage, setStage] = useState(0);
  const panel = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (stage > 0) panel.current?.focus();
  }, [stage]);
  const back = () => {
    setStage(0);
    requestAnimationFrame(() => button.current?.focus());
  };
  if (stage === 0) {
    return (
      <Button ref={button} variant="default" size={props.size ?? "sm"} disabled={props.disabled ?? false} loading={props.pending ?? false} onClick={() => setStage(1)}>
        {props.label}
      </Button>
    );
  }
  return (
    <div
      ref={panel}
      className={classes.panel}
      tabIndex={-1}
      role="group"
      aria-label={stage === 1 ? props.label : props.last}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        back();
      }}
    >
      <Text size="sm" component="div" role="status">
        {stage === 1 ? props.first : props.second}
      </Text>
      <Group gap="xs" justify={stage === 1 ? "flex-start" : "flex-end"}>
        <Button size="xs" variant="default" onClick={back}>
          Keep it
        </Button>
        {stage === 1 ? (
          <Button size="xs" color="red.9" variant="outline" onClick={() => setStage(2)}>
            Yes, {props.label.toLowerCase()}
          </Button>
        ) : (
          <Button
            size="xs"
            color="red.9"
            onClick={() => {
              setStage(0);
              props.onYes();
            }}
          >
            {props.last}
          </Button>
        )}
      </Group>
    </div>
  );
}
