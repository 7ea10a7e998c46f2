/*
 * Administration, on its own prefix beside the key protocol's, and on its own listener. Each call carries a token signed
 * with the administrator's key, EdDSA or ES256: {"exp":…,"iat"?,"nbf"?,"sub"?,"role"?}; or the connection a client
 * certificate, and then what a token would say besides, "uses" and "reply-key", stands as JSON in a header. Roles: admin, keys, reader, policy, reference, auditor.
 *
 *   GET    /cloister/v1/resources                    {"resources":[{"path","len","created","changed","uses"}]}
 *   GET    /cloister/v1/resources/REPO/TYPE/TAG      a JWE for the token's member "reply-key", a JWK
 *   POST   /kbs/v0/resource/REPO/TYPE/TAG            the raw bytes, as Trustee has it; the token's member "uses", if
 *                                                    there, says how often it may be released
 *   DELETE /kbs/v0/resource/REPO/TYPE/TAG
 *   GET    /cloister/v1/references                   {"references":[{"id","kind","tee","value","resource","created","expires"}]}
 *   POST   /cloister/v1/references                   {"kind","tee","value","resource"?,"expires"?}: {"id"}
 *   DELETE /cloister/v1/references/ID
 *   GET    /cloister/v1/documents/KIND               {"documents":[{"name","version","changed","expires","by","text"}]}
 *   POST   /cloister/v1/documents/KIND/NAME          {"text","expires"?,"add"?}: {"version"}
 *   DELETE /cloister/v1/documents/KIND/NAME
 *   GET    /cloister/v1/history/KIND/NAME            {"documents":[…]}: every version; text is null where it was removed
 *   GET    /cloister/v1/audit                        {"head"}: a token {"iat","size","root"} signed as attestation tokens are
 *   GET    /cloister/v1/audit/entries/FROM           {"entries":[text...]}: at most 1000 from number FROM on
 *   GET    /cloister/v1/audit/inclusion/INDEX/SIZE   {"hashes":[hex...]} [RFC 9162 2.1.3]
 *   GET    /cloister/v1/audit/consistency/FIRST/SIZE {"hashes":[hex...]} [RFC 9162 2.1.4]
 *
 * KIND and NAME:
 *   attestation-policy   "default_cpu", TENANT_cpu                    text: Rego, package policy, rule trust_claims
 *   resource-policy      "*", REPO, REPO/TYPE or REPO/TYPE/TAG       text: Rego, package policy, rule allow
 *   reference-value      as policies ask for it                      text: JSON; "add": put its elements into the list there
 *   binding              REPO/TYPE/TAG                               text: {"initdata":[hex...],"workload":[text...]}
 *   volume-epoch         REPO/TYPE/TAG of the volume's key           text: the epoch, a number; guests advance it, see
 *                                                                    keys/api/epoch.h
 *
 * And what Trustee's client calls below /kbs/v0: attestation-policy, resource-policy, reference-value. [KBS 12]
 */
#pragma once

#define ADMIN_RESOURCES  "/cloister/v1/resources"
#define ADMIN_REFERENCES "/cloister/v1/references"
#define ADMIN_DOCUMENTS  "/cloister/v1/documents"
#define ADMIN_HISTORY    "/cloister/v1/history"
#define ADMIN_CLAIMS_HEADER "Cloister-Claims"
#define ADMIN_AUDIT      "/cloister/v1/audit"
#define NO_SUCH_PATH     "there is no such path" /* the detail of the 404, also for these paths where guests are served */

enum {
    ADMIN_TOKEN_LIFE_S = 7200,     /* of the one administrator of `admin_key`: as Trustee's client makes tokens */
    ADMIN_TOKEN_MAX    = 8 << 10,  /* characters */
    ADMIN_DIGEST_LEAST = 32,       /* bytes of an initdata digest: SHA-256 */
    ADMIN_DIGEST_MOST  = 64        /* SHA-512 */
};
