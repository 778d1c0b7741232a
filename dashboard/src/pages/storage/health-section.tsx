import { Button } from "@mantine/core";
import { IconAlertOctagon, IconAlertTriangle, IconCircleCheck, IconHelpCircle, IconInfoCircle } from "@tabler/icons-react";
import { Link } from "react-router";
import type { Health, Issue } from "@/api/documents";
import { plural } from "@/format/number";
import { useMay } from "@/session/session";
import { Section } from "@/ui/page";
import { Badge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import { Score } from "./score";
import classes from "./storage.module.css";
import { type HealthAct, isWork, PLACES, WORKS } from "./works";

const WORDS: Record<Health["status"], readonly [title: string, means: string]> = {
  healthy: ["The store is well", "Nothing needs you. What is only good to know stands below."],
  degraded: ["Something needs a look", "Nothing is lost. What to do stands with each issue."],
  unhealthy: ["Something is wrong", "Begin with the first issue; it says what it means for the data."],
  unknown: ["The store could not be looked at", "What is known of the reason stands below."],
};

const SEVERITIES = {
  critical: ["red", IconAlertOctagon],
  warning: ["orange", IconAlertTriangle],
  info: ["gray", IconInfoCircle],
} as const;

export function HealthSection({ health, begin }: { health: Health; begin: (act: HealthAct) => void }) {
  const [title, means] = WORDS[health.status];
  const serious = health.issues.filter(({ severity }) => severity !== "info").length;
  return (
    <Section title="Health" actions={<span className={classes.at}>as of <Ago at={health.at} /></span>}>
      <div className={classes.hero}>
        <Score score={health.score} status={health.status} />
        <div>
          <p className={classes.status}>{title}</p>
          <p className={classes.means}>
            {means} {serious > 0 && `${plural(serious, "issue")} ${serious === 1 ? "takes" : "take"} points off the score.`}
          </p>
        </div>
      </div>
      {health.issues.length === 0 ? (
        <p className={classes.none}>
          <IconCircleCheck size={18} aria-hidden /> There is no issue.
        </p>
      ) : (
        <ul className={classes.issues} aria-label="Issues, the gravest first">
          {health.issues.map((issue) => (
            <IssueItem key={`${issue.check} ${issue.what}`} issue={issue} begin={begin} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function IssueItem({ issue, begin }: { issue: Issue; begin: (act: HealthAct) => void }) {
  const [tone, icon] = SEVERITIES[issue.severity] ?? (["gray", IconHelpCircle] as const);
  return (
    <li className={classes.issue}>
      <div className={classes.said}>
        <p className={classes.what}>
          <Badge tone={tone} icon={icon}>
            {issue.severity}
          </Badge>
          <strong>{capital(issue.what)}</strong>
          {issue.points > 0 && <span className={classes.points}>−{plural(issue.points, "point")}</span>}
        </p>
        <p className={classes.means}>{capital(issue.means)}.</p>
        {issue.do && (
          <p className={classes.do}>
            <span>What to do:</span> {issue.do}
          </p>
        )}
      </div>
      {issue.act && <ActButton issue={issue} act={issue.act} begin={begin} />}
    </li>
  );
}

function ActButton({ issue, act, begin }: { issue: Issue; act: NonNullable<Issue["act"]>; begin: (act: HealthAct) => void }) {
  const isAdmin = useMay("admin");
  const { name } = act;
  if (!isWork(name))
    return (
      <Button component={Link} to={PLACES[name].to} variant="default" title={act.why} className={classes.act}>
        {PLACES[name].label}
      </Button>
    );
  if (!isAdmin) return <p className={classes.forAdmins}>{WORKS[name].title} is for admins to do.</p>;
  return (
    <Button onClick={() => begin(name)} variant="light" title={act.why} className={classes.act} aria-label={`${WORKS[name].title}, because: ${issue.what}`}>
      {WORKS[name].title}…
    </Button>
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
