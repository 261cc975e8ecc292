// Uses what openapi-typescript made of the document: compiled, never run.
import type { components, operations } from "./schema.js";

type User = components["schemas"]["User"];
type Page = operations["listUsers"]["responses"][200]["content"]["application/json"];

export const names = (page: Page): string[] => page.items.map((user: User) => user.login_name);
export const email = (user: User): unknown => user.claims["email"];

export const decline: components["schemas"]["UnifiedLoginDecline"] = { reason: "Not yet." };
// @ts-expect-error the reason is required
export const silent: components["schemas"]["UnifiedLoginDecline"] = {};
// @ts-expect-error no member is taken that is not known
export const client: components["schemas"]["NewClient"] = { client_id: "portal", nickname: "p" };
