import type { QuestionFact } from "@/api/documents";
import { formatSize } from "@/format/number";
import { Command } from "@/ui/command";
import { Facts } from "@/ui/facts";
import { Ago, At } from "@/ui/time";
import classes from "./delete-flow.module.css";

const TIMES = new Set(["expires", "verified"]);
const SIZES = new Set(["size"]);

/** As the command line lists them; times in the zone of who reads. */
export function QuestionFacts({ facts }: { facts: readonly QuestionFact[] }) {
  return (
    <div className={classes.facts} tabIndex={0} role="group" aria-label="What is known of it">
      <Facts facts={facts.filter(tells).map((fact) => [fact.name.replaceAll("_", " "), <FactValue key={fact.name} fact={fact} />] as const)} />
    </div>
  );
}

/** Of what there is none, nothing needs to be said. */
const tells = ({ name, value }: QuestionFact): boolean => !(name.startsWith("records of ") && value === 0);

function FactValue({ fact: { name, value, text } }: { fact: QuestionFact }) {
  if (typeof value === "number" && TIMES.has(name))
    return (
      <>
        <At at={value} /> (<Ago at={value} />)
      </>
    );
  if (typeof value === "number" && SIZES.has(name)) return <>{formatSize(value)}</>;
  if (name === "restore") return <Command line={text} />;
  if (name === "sha256") return <span className="mono">{text}</span>;
  return <>{text}</>;
}
