import { Alert, Checkbox, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import type { Backup } from "@/api/documents";
import { plural } from "@/format/number";
import { Confirm } from "@/ui/confirm";

export interface RestoreSaid {
  overwrite: boolean;
  only: string[] | null;
}

interface RestoreProps {
  backup: Backup;
  opened: boolean;
  onClose: () => void;
  start: (said: RestoreSaid) => void;
}

/** Asks; what is there and differs is left alone unless somebody says otherwise, each time anew. */
export function Restore({ backup, opened, onClose, start }: RestoreProps) {
  const [overwrite, setOverwrite] = useState(false);
  const [only, setOnly] = useState("");
  const close = () => {
    setOverwrite(false);
    onClose();
  };
  const names = only.split(",").map((name) => name.trim()).filter(Boolean);
  const confirm = () => {
    start({ overwrite, only: names.length > 0 ? names : null });
    close();
  };
  return (
    <Confirm opened={opened} onClose={close} title={`Restore ${backup.label}`} act={overwrite ? "Restore and replace" : "Restore"} danger={overwrite} onConfirm={confirm}>
      <Stack gap="sm">
        <Text size="sm">
          {plural(backup.records, "record")} go back to where they were. What is there already, and the same, is left alone; if something there differs, nothing of
          it is touched and you are told.
        </Text>
        <TextInput
          label={backup.kind === "runs" ? "Only these runs" : "Only these members"}
          description="Names, separated by commas, with * for any letters. Empty: all of it."
          value={only}
          onChange={(event) => setOnly(event.currentTarget.value)}
        />
        <Checkbox label="Replace what is there and differs" checked={overwrite} onChange={(event) => setOverwrite(event.currentTarget.checked)} />
        {overwrite && (
          <Alert color="red" role="alert">
            What is there now is lost where it differs from the backup.
          </Alert>
        )}
      </Stack>
    </Confirm>
  );
}
