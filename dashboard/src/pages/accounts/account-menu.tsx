import { ActionIcon, Menu, PasswordInput, Text } from "@mantine/core";
import { IconDots, IconKey, IconLock, IconLockOpen, IconTrash, IconUserCog } from "@tabler/icons-react";
import { useRef, useState } from "react";
import { ROLES, useAccountAct, useChangeAccount } from "@/api/accounts";
import { api } from "@/api/client";
import type { Account } from "@/api/documents";
import { useSession } from "@/session/session";
import { Confirm } from "@/ui/confirm";
import { notify, notifyError } from "@/ui/notify";
import classes from "./accounts.module.css";

type Asked = "password" | "disable" | "remove" | null;

/** What an admin does with an account; the last admin can neither be disabled nor removed, which the server says. */
export function AccountMenu({ account }: { account: Account }) {
  const { name } = account;
  const [asked, setAsked] = useState<Asked>(null);
  const target = useRef<HTMLButtonElement>(null);
  const change = useChangeAccount(name);
  const said = (title: string) => ({ onSuccess: () => notify({ title, tone: "good" as const }), onError: (error: unknown) => notifyError("Nothing was changed", error) });
  const close = () => {
    setAsked(null);
    requestAnimationFrame(() => target.current?.focus()); // the menu that opened the dialog is gone
  };
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon ref={target} variant="subtle" color="gray" aria-label={`Change ${name}`}>
            <IconDots size={18} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {ROLES.filter((role) => role !== account.role).map((role) => (
            <Menu.Item key={role} leftSection={<IconUserCog size={16} aria-hidden />} onClick={() => change.mutate({ role }, said(`${name} is ${role} now`))}>
              Make it {role}
            </Menu.Item>
          ))}
          <Menu.Item leftSection={<IconKey size={16} aria-hidden />} onClick={() => setAsked("password")}>
            Give it a password…
          </Menu.Item>
          {account.disabled === null ? (
            <Menu.Item leftSection={<IconLock size={16} aria-hidden />} onClick={() => setAsked("disable")}>
              Disable…
            </Menu.Item>
          ) : (
            <Menu.Item leftSection={<IconLockOpen size={16} aria-hidden />} onClick={() => change.mutate({ disabled: false }, said(`${name} is let in again`))}>
              Enable
            </Menu.Item>
          )}
          <Menu.Divider />
          <Menu.Item className={classes.danger ?? ""} leftSection={<IconTrash size={16} aria-hidden />} onClick={() => setAsked("remove")}>
            Remove…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <GivePassword name={name} opened={asked === "password"} onClose={close} />
      <Disable name={name} opened={asked === "disable"} onClose={close} />
      <Remove name={name} opened={asked === "remove"} onClose={close} />
    </>
  );
}

interface Asking {
  name: string;
  opened: boolean;
  onClose: () => void;
}

function GivePassword({ name, opened, onClose }: Asking) {
  const [password, setPassword] = useState("");
  const change = useChangeAccount(name);
  const close = () => {
    setPassword("");
    change.reset();
    onClose();
  };
  const done = () => {
    notify({ title: `${name} has a new password`, message: "Its browsers were signed out; its tokens stay.", tone: "good" });
    close();
  };
  return (
    <Confirm opened={opened} onClose={close} title={`A password for ${name}`} act="Set the password" disabled={password.length < 10} isPending={change.isPending} error={change.error} onConfirm={() => change.mutate({ password }, { onSuccess: done })}>
      <PasswordInput
        label="New password"
        description="At least 10 characters. Browsers in which it is signed in are signed out."
        autoComplete="new-password"
        data-autofocus
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        visibilityToggleButtonProps={{ "aria-label": "Show the password", tabIndex: 0 }}
      />
    </Confirm>
  );
}

function Disable({ name, opened, onClose }: Asking) {
  const own = useSession().account.name === name;
  const change = useChangeAccount(name);
  const close = () => {
    change.reset();
    onClose();
  };
  return (
    <Confirm opened={opened} onClose={close} title={`Disable ${name}`} act="Disable" danger isPending={change.isPending} error={change.error} onConfirm={() => change.mutate({ disabled: true }, { onSuccess: close })}>
      <Text size="sm">It is signed out everywhere and its tokens do nothing, until it is enabled again. Its runs and backups stay as they are.</Text>
      {own && <Text size="sm" fw={600}>This is your own account: you are signed out, too.</Text>}
    </Confirm>
  );
}

function Remove({ name, opened, onClose }: Asking) {
  const remove = useAccountAct(() => api.delete<undefined>(`/accounts/${encodeURIComponent(name)}`));
  const close = () => {
    remove.reset();
    onClose();
  };
  return (
    <Confirm opened={opened} onClose={close} title={`Remove ${name}`} act="Remove" danger isPending={remove.isPending} error={remove.error} onConfirm={() => remove.mutate(undefined, { onSuccess: close })}>
      <Text size="sm">The account goes, with its tokens. What it made stays, under its name: an account of the same name would own it again.</Text>
    </Confirm>
  );
}
