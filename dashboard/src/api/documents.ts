/** Names for what the API answers on these pages, out of its OpenAPI document (schema.d.ts is generated from that). */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Backup = Schemas["BackupDocument"];
export type BackupState = Backup["state"];
export type BackupList = Schemas["BackupList"];
export type Member = Schemas["MemberDocument"];
export type MemberList = Schemas["MemberList"];
export type Hit = Schemas["HitDocument"];
export type Question = Schemas["QuestionDocument"];
export type QuestionFact = Schemas["QuestionFact"];
export type PruneReport = Schemas["PruneReport"];

export type Health = Schemas["HealthDocument"];
export type Issue = Schemas["IssueDocument"];
export type Statistics = Schemas["Statistics"];
export type Growth = Schemas["Growth"];
export type GrowthDay = Schemas["GrowthDay"];
export type SweepReport = Schemas["SweepDocument"];
export type OptimizeReport = Schemas["OptimizeDocument"];
export type RepairReport = Schemas["RepairDocument"];

export type StreamList = Schemas["StreamList"];
export type Stream = Schemas["StreamDocument"];
export type WholeStream = Schemas["WholeStream"];
export type Generation = Schemas["GenerationDocument"];
export type Letter = Schemas["LetterDocument"];

export type AuditRow = Schemas["AuditRowDocument"];
export type AuditChecked = Schemas["AuditChecked"];
export type Setting = Schemas["SettingDocument"];
export type SettingList = Schemas["SettingList"];

export type Account = Schemas["AccountDocument"];
export type Token = Schemas["TokenDocument"];
export type RoleWords = Schemas["RoleDocument"];

/** What may be backed up: no path and no address is ever sent. */
export type BackupSource = { kind: "runs"; runs: string[] } | { again: string };
