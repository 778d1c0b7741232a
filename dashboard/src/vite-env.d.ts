/// <reference types="vite/client" />
declare module "virtual:theme-variables.css";

interface Window {
  /** What early.js asked for, by address; each answer is taken once. */
  waycairnEarly?: Record<string, Promise<Response>>;
}
