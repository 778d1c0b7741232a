import { Alert, Button, Text } from "@mantine/core";
import { IconCircleCheck } from "@tabler/icons-react";
import { Link } from "react-router";
import { archiveOf, useBackup } from "@/api/backups";
import { formatSize, plural } from "@/format/number";
import { Command } from "@/ui/command";
import { DownloadLink } from "@/ui/download-link";
import { Facts } from "@/ui/facts";
import { Ago, At } from "@/ui/time";
import classes from "./delete-flow.module.css";

/** The source is gone; this is what is left of it, and how it comes back. */
export function DoneStep({ backup: id, onClose }: { backup: string; onClose: () => void }) {
  const { data } = useBackup(id);
  return (
    <>
      <Alert role="status" color="green" icon={<IconCircleCheck aria-hidden />} title={data ? `Deleted: ${data.label}` : "It was deleted"}>
        {data && `The backup has all of it: ${plural(data.records, "record")}, ${formatSize(data.size)}.`}
      </Alert>
      <Facts
        facts={[
          ["It can be restored", data?.expires == null ? "for ever" : <>until <At at={data.expires} /> (<Ago at={data.expires} />)</>],
          ["Bring it back", <Command key="restore" line={`waycairn backup restore ${id}`} />],
        ]}
      />
      <Text c="dimmed" size="sm">
        The page of the backup restores it, too, and shows and searches what is in it.
      </Text>
      <div className={classes.actions}>
        <DownloadLink href={archiveOf(id)}>Download it (.tar)</DownloadLink>
        <Button variant="default" component={Link} to={`/backups/${id}`} onClick={onClose}>
          To the backup
        </Button>
        <Button onClick={onClose}>Done</Button>
      </div>
    </>
  );
}
