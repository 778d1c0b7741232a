import { Button } from "@mantine/core";
import { IconLogout } from "@tabler/icons-react";
import { useNavigate } from "react-router";
import { useSession, useSignOut } from "@/session/session";
import { Facts } from "@/ui/facts";
import { notifyError } from "@/ui/notify";
import { Page, Section } from "@/ui/page";
import { Ago } from "@/ui/time";
import classes from "../accounts/accounts.module.css";
import { RoleBadge } from "../accounts/role-badge";
import { Roles } from "../accounts/roles";
import { Tokens } from "../accounts/tokens";
import { PasswordForm } from "./password-form";

/** One's own: what the account may do, its password, its tokens. */
export default function AccountPage() {
  const { account, expires, store } = useSession();
  return (
    <Page title="Your account" actions={<SignOut />}>
      <div className={classes.columns}>
        <Section title="Who you are here">
          <div className={classes.body}>
            <Facts
              facts={[
                ["Name", account.name],
                ["Role", <RoleBadge key="role" role={account.role} />],
                ["Yours", `the runs and backups of ${account.name}`],
                ["Signed in", expires === null ? "until you sign out" : <span key="until">it ends <Ago at={expires} />, unless you go on</span>],
                ["Store", <span key="store" className="mono">{store.url}</span>],
                ["Encrypted", store.encrypted ? "yes" : "no"],
              ]}
            />
          </div>
        </Section>
        <Section title="Password">
          <div className={classes.body}>
            <PasswordForm />
          </div>
        </Section>
      </div>
      <Tokens account={null} title="Your tokens" />
      <Roles title="What your account may do" upTo={account.role} />
    </Page>
  );
}

function SignOut() {
  const signOut = useSignOut();
  const navigate = useNavigate();
  const leave = () => signOut.mutate(undefined, { onSuccess: () => void navigate("/sign-in"), onError: (error) => notifyError("You are still signed in", error) });
  return (
    <Button variant="default" leftSection={<IconLogout size={16} aria-hidden />} onClick={leave} loading={signOut.isPending}>
      Sign out
    </Button>
  );
}
