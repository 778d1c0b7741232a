/** A delete in three steps: what there is, a backup of it, and only then, typed, the delete. */
import { Modal } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useRef } from "react";
import type { BackupSource } from "@/api/documents";
import { DeleteFlow } from "./delete-flow";

export interface DeleteWithBackupProps {
  opened: boolean;
  /** `deleted`: what was asked for is gone by then. */
  onClose: (deleted: boolean) => void;
  /** What is to be deleted. */
  source?: BackupSource;
  /** In place of it: a backup that is there already, so that only the last step is left. */
  backup?: string;
}

export default function DeleteWithBackup({ opened, onClose, source, backup }: DeleteWithBackupProps) {
  const isDeleted = useRef(false);
  const close = () => onClose(isDeleted.current);
  const isPhone = useMediaQuery("(max-width: 48em)") ?? false;
  return (
    <Modal opened={opened} onClose={close} title="Delete with a backup" size="lg" fullScreen={isPhone} closeOnClickOutside={false}>
      {opened && <DeleteFlow source={source ?? null} backup={backup ?? null} onClose={close} onDeleted={() => (isDeleted.current = true)} />}
    </Modal>
  );
}
