import { useRoles } from "@/api/accounts";
import type { Role } from "@/api/model";
import { Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { RoleBadge } from "./role-badge";
import classes from "./accounts.module.css";

/** What each role may do: each may do what those before it may, and this. */
export function Roles({ title, upTo }: { title: string; upTo?: Role }) {
  const roles = useRoles();
  if (roles.isError) return <ErrorState error={roles.error} again={() => void roles.refetch()} />;
  if (!roles.data) return <Skeleton rows={3} label="Loading what roles may do" />;
  const all = roles.data.roles;
  const shown = upTo === undefined ? all : all.slice(0, all.findIndex(({ role }) => role === upTo) + 1);
  return (
    <Section title={title}>
      <div className={classes.roles}>
        {shown.map(({ role, may }, at) => (
          <div key={role} className={classes.role}>
            <h3 className={classes.roleName}>
              <RoleBadge role={role} /> {at > 0 && <span className={classes.dimmed}>may all of that, and</span>}
            </h3>
            <ul>
              {may.map((sentence) => (
                <li key={sentence}>{sentence}</li>
              ))}
            </ul>
          </div>
        ))}
      </div>
    </Section>
  );
}
