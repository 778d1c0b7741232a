import { ActionIcon, Button, Drawer, Menu, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconDeviceDesktop, IconLogout, IconMenu2, IconMoon, IconSun, IconUser } from "@tabler/icons-react";
import { Link, useNavigate } from "react-router";
import type { Session } from "@/api/model";
import { useSignOut } from "@/session/session";
import { notifyError } from "@/ui/notify";
import { LiveDot } from "./connection-note";
import { Navigation } from "./navigation";
import classes from "./shell.module.css";

export function Header({ session }: { session: Session | undefined }) {
  const [opened, { open, close }] = useDisclosure(false);
  return (
    <header className={classes.header}>
      <ActionIcon className={classes.burger} variant="subtle" color="gray" size="lg" aria-label="Pages" aria-expanded={opened} onClick={open}>
        <IconMenu2 size={22} aria-hidden />
      </ActionIcon>
      <Link to="/runs" className={classes.brand}>
        <img src="/cairn.svg" alt="" width={24} height={24} />
        waycairn
      </Link>
      {session && (
        <span className={classes.store} title="the store that is served">
          {session.store.url}
        </span>
      )}
      <span className={classes.space} />
      <LiveDot />
      <SchemeMenu />
      {session && <AccountMenu session={session} />}
      {session && (
        <Drawer opened={opened} onClose={close} size={260} title="Pages">
          <nav aria-label="Pages">
            <Navigation role={session.account.role} then={close} />
          </nav>
        </Drawer>
      )}
    </header>
  );
}

const SCHEMES = [
  ["light", "Light", IconSun],
  ["dark", "Dark", IconMoon],
  ["auto", "As the system", IconDeviceDesktop],
] as const;

function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const Now = SCHEMES.find(([scheme]) => scheme === colorScheme)?.[2] ?? IconDeviceDesktop;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Colours: ${colorScheme}`}>
          <Now size={19} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {SCHEMES.map(([scheme, title, Icon]) => (
          <Menu.Item key={scheme} leftSection={<Icon size={16} aria-hidden />} onClick={() => setColorScheme(scheme)} aria-current={scheme === colorScheme || undefined}>
            {title}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function AccountMenu({ session }: { session: Session }) {
  const signOut = useSignOut();
  const navigate = useNavigate();
  const leave = () =>
    signOut.mutate(undefined, {
      onSuccess: () => void navigate("/sign-in"),
      onError: (error) => notifyError("You are still signed in", error),
    });
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <Button variant="subtle" color="gray" leftSection={<IconUser size={17} aria-hidden />} size="compact-md">
          {session.account.name}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          Signed in as {session.account.role} · waycairn {session.version}
        </Menu.Label>
        <Menu.Item component={Link} to="/account" leftSection={<IconUser size={16} aria-hidden />}>
          Your account
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={leave}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
