/** What the API answers: types of its OpenAPI document (`npm run types` makes schema.d.ts from openapi.json). */
import type { components } from "./schema";

export type Schemas = components["schemas"];

export type Role = Schemas["Role"];
export type Session = Schemas["SessionDocument"];
export type RunStatus = Schemas["RunWord"];
export type Progress = Schemas["RunProgress"];
export type Run = Schemas["RunDocument"];
export type RunDetail = Schemas["RunDetailDocument"];
export type RunPage = Schemas["RunList"];
export type Counts = Schemas["RunCounts"];
export type Item = Schemas["ItemDocument"];
export type FailureGroups = Schemas["FailureGroups"];
export type Checkpoint = Schemas["CheckpointDocument"];
export type Diff = Schemas["DiffDocument"];
export type Metrics = Schemas["MetricsDocument"];
export type Iteration = Schemas["IterationDocument"];
export type Timeline = Schemas["TimelineDocument"];
export type ActOutcome = Schemas["BulkOutcome"];
export type Job = Schemas["JobDocument"];
