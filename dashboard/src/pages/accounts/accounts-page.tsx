import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconUserPlus } from "@tabler/icons-react";
import { useAccounts } from "@/api/accounts";
import type { Account } from "@/api/documents";
import { useMay, useSession } from "@/session/session";
import { type Column, DataTable } from "@/ui/data-table";
import { ForAdmins } from "@/ui/for-admins";
import { Page, Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import { AccountMenu } from "./account-menu";
import classes from "./accounts.module.css";
import { NewAccount } from "./new-account";
import { RoleBadge } from "./role-badge";
import { Roles } from "./roles";
import { Tokens } from "./tokens";

const COLUMNS: readonly Column<Account>[] = [
  { name: "name", title: "Name", lead: true, cell: (account) => <Name account={account} /> },
  { name: "role", title: "Role", cell: ({ role }) => <RoleBadge role={role} /> },
  { name: "seen", title: "Signed in last", cell: ({ seen }) => (seen === null ? "never" : <Ago at={seen} />) },
  { name: "password", title: "Signs in by", cell: ({ has_password, tokens }) => waysOf(has_password, tokens) },
  { name: "created", title: "Made", cell: ({ created }) => <Ago at={created} /> },
  { name: "acts", title: "", cell: (account) => <AccountMenu account={account} /> },
];

const waysOf = (password: boolean, tokens: number): string =>
  [password && "password", tokens > 0 && `${tokens} token${tokens === 1 ? "" : "s"}`].filter(Boolean).join(", ") || "nothing yet";

function Name({ account }: { account: Account }) {
  const own = useSession().account.name === account.name;
  return (
    <span className={classes.name}>
      {account.name}
      {own && <Badge tone="gray">you</Badge>}
      {account.disabled !== null && <Badge tone="red" title="It may do nothing until it is enabled again.">disabled</Badge>}
    </span>
  );
}

export default function AccountsPage() {
  const isAdmin = useMay("admin");
  const [opened, { open, close }] = useDisclosure(false);
  return (
    <Page
      title="Accounts"
      note="Who may use this server. The name of an account is whose runs and backups are."
      actions={
        isAdmin && (
          <Button leftSection={<IconUserPlus size={16} aria-hidden />} onClick={open}>
            New account…
          </Button>
        )
      }
    >
      {isAdmin ? <All /> : <ForAdmins what="This list" />}
      <Roles title="What roles may do" />
      <NewAccount opened={opened} onClose={close} />
    </Page>
  );
}

function All() {
  const accounts = useAccounts();
  if (accounts.isError) return <ErrorState error={accounts.error} again={() => void accounts.refetch()} />;
  if (!accounts.data) return <Skeleton label="Loading the accounts" />;
  return (
    <>
      <Section title="All accounts">
        <DataTable caption="Accounts" columns={COLUMNS} rows={accounts.data.accounts} rowKey={({ name }) => name} />
      </Section>
      <Tokens account="all" title="Tokens of everybody" />
    </>
  );
}
