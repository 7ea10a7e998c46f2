/*
 * Administration, on its own prefix beside the key protocol's. Each call carries a token signed with the
 * administrator's key: {"role":"admin","iat":…,"exp":…}, EdDSA or ES256, at most ADMIN_TOKEN_LIFE_S long.
 *
 *   GET    /cloister/v1/resources                    {"resources":[{"path","len","created","changed","uses"}]}
 *   GET    /cloister/v1/resources/REPO/TYPE/TAG      a JWE for the token's member "reply-key", a JWK
 *   POST   /kbs/v0/resource/REPO/TYPE/TAG            the raw bytes, as Trustee has it; the token's member "uses", if
 *                                                    there, says how often it may be released
 *   DELETE /kbs/v0/resource/REPO/TYPE/TAG
 *   GET    /cloister/v1/references                   {"references":[{"id","kind","tee","value","resource","created","expires"}]}
 *   POST   /cloister/v1/references                   {"kind","tee","value","resource"?,"expires"?}: {"id"}
 *   DELETE /cloister/v1/references/ID
 *   GET    /cloister/v1/audit                        {"head"}: a token {"iat","size","root"} signed as attestation tokens are
 *   GET    /cloister/v1/audit/entries/FROM           {"entries":[text...]}: at most 1000 from number FROM on
 *   GET    /cloister/v1/audit/inclusion/INDEX/SIZE   {"hashes":[hex...]} [RFC 9162 2.1.3]
 *   GET    /cloister/v1/audit/consistency/FIRST/SIZE {"hashes":[hex...]} [RFC 9162 2.1.4]
 */
#pragma once

#define ADMIN_RESOURCES  "/cloister/v1/resources"
#define ADMIN_REFERENCES "/cloister/v1/references"
#define ADMIN_AUDIT      "/cloister/v1/audit"

enum {
    ADMIN_TOKEN_LIFE_S = 300,      /* a token that promises longer is refused */
    ADMIN_TOKEN_MAX    = 8 << 10,  /* characters */
    ADMIN_DIGEST_LEAST = 32,       /* bytes of an initdata digest: SHA-256 */
    ADMIN_DIGEST_MOST  = 64        /* SHA-512 */
};
