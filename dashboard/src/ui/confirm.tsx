import { Alert, Button, Group, Modal, Stack } from "@mantine/core";
import { type FormEvent, type ReactNode, useId } from "react";
import { messageOf } from "./states";

interface ConfirmProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  /** What the button does, in words. */
  act: string;
  danger?: boolean;
  isPending?: boolean;
  disabled?: boolean;
  error?: unknown;
  onConfirm: () => void;
  size?: string;
}

/** Asks before something is done, and stays with the reason where it was refused. Enter confirms nothing that is dangerous:
 * there the way back has the focus. */
export function Confirm(props: ConfirmProps) {
  const { opened, onClose, title, children, act, danger = false, isPending = false, disabled = false, error, onConfirm, size = "md" } = props;
  const form = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    event.stopPropagation(); // a portal is inside of where it was opened, for React
    onConfirm();
  };
  return (
    <Modal opened={opened} onClose={onClose} title={title} size={size}>
      <form id={form} onSubmit={submit}>
        <Stack gap="md">
          <div>{children}</div>
          <div role="alert">{error != null && <Alert color="red">{messageOf(error)}</Alert>}</div>
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose} data-autofocus={danger || undefined}>
              Cancel
            </Button>
            <Button type="submit" color={danger ? "red.8" : undefined} loading={isPending} disabled={disabled}>
              {act}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
