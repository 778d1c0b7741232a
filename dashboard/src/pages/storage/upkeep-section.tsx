import { Button } from "@mantine/core";
import { useStatistics } from "@/api/care";
import { useMay } from "@/session/session";
import { Section } from "@/ui/page";
import { Ago } from "@/ui/time";
import classes from "./storage.module.css";
import { type Work, WORKS } from "./works";

/** The works by themselves, without an issue that recommends them. */
export function UpkeepSection({ begin }: { begin: (work: Work) => void }) {
  const isAdmin = useMay("admin");
  const upkeep = useStatistics().data?.upkeep ?? {};
  return (
    <Section title="Upkeep">
      {!isAdmin && <p className={classes.none}>These work on the whole store: they are for admins to do.</p>}
      <ul className={classes.works}>
        {(Object.keys(WORKS) as Work[]).map((work) => (
          <li key={work} className={classes.work}>
            <div className={classes.said}>
              <p className={classes.what}>
                <strong>{WORKS[work].title}</strong>
                {upkeep[work] != null && (
                  <span className={classes.small}>
                    last done <Ago at={upkeep[work]} />
                  </span>
                )}
              </p>
              <p className={classes.means}>{WORKS[work].what}</p>
            </div>
            {isAdmin && (
              <Button variant="default" className={classes.act} onClick={() => begin(work)}>
                {WORKS[work].title}…
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}
