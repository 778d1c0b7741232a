import { PasswordInput, Select, Stack, TextInput } from "@mantine/core";
import { useState } from "react";
import { ROLES, useAccountAct } from "@/api/accounts";
import { api } from "@/api/client";
import type { Account } from "@/api/documents";
import type { Role } from "@/api/model";
import { Confirm } from "@/ui/confirm";
import { notify } from "@/ui/notify";

const EMPTY = { name: "", role: "viewer" as Role, password: "" };

export function NewAccount({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [said, setSaid] = useState(EMPTY);
  const add = useAccountAct(({ name, role, password }: typeof EMPTY) => api.post<Account>("/accounts", { name, role, ...(password && { password }) }));
  const close = () => {
    setSaid(EMPTY);
    add.reset();
    onClose();
  };
  const confirm = () =>
    add.mutate(said, {
      onSuccess: ({ name, role }) => {
        notify({ title: `${name} has an account, as ${role}`, tone: "good" });
        close();
      },
    });
  return (
    <Confirm opened={opened} onClose={close} title="New account" act="Make the account" isPending={add.isPending} error={add.error} onConfirm={confirm}>
      <Stack gap="sm">
        <TextInput label="Name" description="As the user of the operating system whose runs it shall own." required autoComplete="off" data-autofocus value={said.name} onChange={(event) => setSaid({ ...said, name: event.currentTarget.value })} />
        <Select label="Role" data={[...ROLES]} value={said.role} onChange={(role) => setSaid({ ...said, role: (role ?? "viewer") as Role })} allowDeselect={false} />
        <PasswordInput
          label="Password"
          description="At least 10 characters. Without one it signs in by tokens only."
          autoComplete="new-password"
          minLength={10}
          value={said.password}
          onChange={(event) => setSaid({ ...said, password: event.currentTarget.value })}
          visibilityToggleButtonProps={{ "aria-label": "Show the password", tabIndex: 0 }}
        />
      </Stack>
    </Confirm>
  );
}
