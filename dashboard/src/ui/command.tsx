import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import classes from "./command.module.css";

/** A line for the shell, to be copied. */
export function Command({ line }: { line: string }) {
  return (
    <div className={classes.command}>
      <code className={classes.line}>{line}</code>
      <CopyButton value={line}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? "Copied" : "Copy"}>
            <ActionIcon variant="subtle" color="gray" onClick={copy} aria-label={copied ? "Copied" : `Copy: ${line}`}>
              {copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </div>
  );
}
