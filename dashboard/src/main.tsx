import { createRoot } from "react-dom/client";
import { App } from "@/app";
import { firstAnswers } from "@/first-answers";

const root = document.getElementById("root");
if (root) void firstAnswers().then(() => createRoot(root).render(<App />));
