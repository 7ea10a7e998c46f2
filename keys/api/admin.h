/*
 * Administration, on its own prefix beside the key protocol's. Each call carries a token signed with the
 * administrator's key: {"role":"admin","iat":…,"exp":…}, EdDSA or ES256, at most ADMIN_TOKEN_LIFE_S long.
 *
 *   GET    /cloister/v1/resources                    {"resources":[{"path","len","created","changed"}]}
 *   GET    /cloister/v1/resources/REPO/TYPE/TAG      a JWE for the token's member "reply-key", a JWK
 *   POST   /kbs/v0/resource/REPO/TYPE/TAG            the raw bytes, as Trustee has it
 *   DELETE /kbs/v0/resource/REPO/TYPE/TAG
 *   GET    /cloister/v1/references                   {"references":[{"id","kind","tee","value","resource","created","expires"}]}
 *   POST   /cloister/v1/references                   {"kind","tee","value","resource"?,"expires"?}: {"id"}
 *   DELETE /cloister/v1/references/ID
 */
#pragma once

#define ADMIN_RESOURCES  "/cloister/v1/resources"
#define ADMIN_REFERENCES "/cloister/v1/references"

enum {
    ADMIN_TOKEN_LIFE_S = 300,      /* a token that promises longer is refused */
    ADMIN_TOKEN_MAX    = 8 << 10,  /* characters */
    ADMIN_DIGEST_LEAST = 32,       /* bytes of an initdata digest: SHA-256 */
    ADMIN_DIGEST_MOST  = 64        /* SHA-512 */
};
