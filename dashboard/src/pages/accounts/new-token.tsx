import { Alert, Button, Modal, Select, Stack, Text, TextInput } from "@mantine/core";
import { IconEyeOff } from "@tabler/icons-react";
import { useState } from "react";
import { ROLES, useAccountAct } from "@/api/accounts";
import { api } from "@/api/client";
import type { Token } from "@/api/documents";
import type { Role } from "@/api/model";
import { covers, useSession } from "@/session/session";
import { Command } from "@/ui/command";
import { Confirm } from "@/ui/confirm";
import classes from "./accounts.module.css";

const DAY = 86_400;
const ENDS = [
  { value: String(30 * DAY), label: "in 30 days" },
  { value: String(90 * DAY), label: "in 90 days" },
  { value: String(365 * DAY), label: "in a year" },
  { value: "", label: "never" },
];

/** The secret is in the answer, once; it is shown until the dialog is closed, and kept nowhere. */
export function NewToken({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { role } = useSession().account;
  const [said, setSaid] = useState({ name: "", scope: "viewer" as Role, ends: ENDS[1]?.value ?? "" });
  const add = useAccountAct(({ name, scope, ends }: typeof said) => api.post<{ token: Token; secret: string }>("/tokens", { name, scopes: [scope], ...(ends && { expires_in: Number(ends) }) }));
  const close = () => {
    add.reset();
    setSaid({ ...said, name: "" });
    onClose();
  };
  if (add.data)
    return (
      <Modal opened={opened} onClose={close} title={`Token ${add.data.token.name}`} closeOnClickOutside={false} closeOnEscape={false}>
        <div className={classes.secret}>
          <Alert color="orange" role="status" icon={<IconEyeOff aria-hidden />} title="Shown this once">
            Copy it now, to where your program reads it. Nobody can show it again; what is kept of it is a hash.
          </Alert>
          <Command line={add.data.secret} />
          <Text size="sm" c="dimmed">
            Programs send it as <code className="mono">Authorization: Bearer …</code>
          </Text>
          <Button onClick={close}>I have it</Button>
        </div>
      </Modal>
    );
  return (
    <Confirm opened={opened} onClose={close} title="New token" act="Make the token" isPending={add.isPending} error={add.error} disabled={said.name.trim() === ""} onConfirm={() => add.mutate({ ...said, name: said.name.trim() })}>
      <Stack gap="sm">
        <TextInput label="What it is for" placeholder="nightly report" required data-autofocus autoComplete="off" value={said.name} onChange={(event) => setSaid({ ...said, name: event.currentTarget.value })} />
        <Select
          label="It may do what this role may"
          description="No more than you; take the least that is enough."
          data={ROLES.filter((one) => covers(role, one))}
          value={said.scope}
          onChange={(scope) => setSaid({ ...said, scope: (scope ?? "viewer") as Role })}
          allowDeselect={false}
        />
        <Select label="It ends" data={ENDS} value={said.ends} onChange={(ends) => setSaid({ ...said, ends: ends ?? "" })} allowDeselect={false} />
      </Stack>
    </Confirm>
  );
}
