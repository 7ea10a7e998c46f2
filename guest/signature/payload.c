#include "guest/signature/payload.h"

#include <string.h>

#define COSIGN_TYPE "cosign container image signature"

void signature_payload_free(struct signature_payload *payload)
{
    if (payload->document)
        json_object_put(payload->document);
    *payload = (struct signature_payload){ 0 };
}

static FALLIBLE critical_read(struct json_object *critical, struct signature_payload *out, struct err *err)
{
    struct json_object *identity, *image;
    const char         *reference, *digest, *type;

    if (!json_get(critical, "identity", json_type_object, &identity, err) ||
        !json_get(critical, "image", json_type_object, &image, err) || !json_get_text(critical, "type", &type, err) ||
        !json_get_text(identity, "docker-reference", &reference, err) ||
        !json_get_text(image, "docker-manifest-digest", &digest, err))
        return false;
    if (strcmp(type, COSIGN_TYPE) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "a signature of type \"%.60s\"", type);
    return digest_read(bytes_of_text(digest), &out->manifest, err) &&
           image_reference_read(bytes_of_text(reference), &out->identity, err);
}

FALLIBLE signature_payload_read(struct bytes json, struct signature_payload *out, struct err *err)
{
    AUTO(signature_payload) struct signature_payload read     = { 0 };
    struct json_object                              *critical = NULL;

    if (!json_read(json, SIGNATURE_PAYLOAD_MAX, &read.document, err) ||
        !json_get(read.document, "critical", json_type_object, &critical, err) || !critical_read(critical, &read, err))
        return context(err, "signature payload");
    if (json_has(read.document, "optional") &&
        !json_get(read.document, "optional", json_type_object, &read.optional, err))
        return context(err, "signature payload");
    *out = read;
    read = (struct signature_payload){ 0 };
    return true;
}

static const struct identity_rule {
    const char *type;
    const char *texts[2]; /* members that it must have */
} rules[] = {
    { "matchExact", { NULL, NULL } },
    { "matchRepoDigestOrExact", { NULL, NULL } },
    { "matchRepository", { NULL, NULL } },
    { "exactReference", { "dockerReference", NULL } },
    { "exactRepository", { "dockerRepository", NULL } },
    { "remapIdentity", { "prefix", "signedPrefix" } },
};

static FALLIBLE rule_find(struct json_object *rule, const struct identity_rule **out, struct err *err)
{
    const char *type;

    if (!json_get_text(rule, "type", &type, err))
        return false;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].type, type) == 0) {
            *out = &rules[i];
            return true;
        }
    return fail_with(err, ERR_MALFORMED, "no such type: \"%.40s\"", type);
}

static FALLIBLE reference_member(struct json_object *rule, const char *name, bool wants_bare, struct err *err)
{
    struct image_reference reference;
    const char            *text;

    if (!json_get_text(rule, name, &text, err) || !image_reference_read(bytes_of_text(text), &reference, err))
        return context(err, name);
    if ((reference.has_tag || reference.has_digest) == wants_bare)
        return fail_with(err, ERR_MALFORMED, "%s: %s", name, wants_bare ? "no tag or digest is wanted" : "a tag or digest is wanted");
    return true;
}

FALLIBLE signed_identity_check(struct json_object *rule, struct err *err)
{
    const struct identity_rule *known;
    const char                 *text;
    int                         n = 1;

    if (!rule)
        return true;
    if (!json_object_is_type(rule, json_type_object))
        return fail_with(err, ERR_MALFORMED, "signedIdentity: not an object");
    if (!rule_find(rule, &known, err))
        return context(err, "signedIdentity");
    for (size_t i = 0; i < 2 && known->texts[i]; i++, n++)
        if (!json_get_text(rule, known->texts[i], &text, err) ||
            (text[0] == '\0' && !fail_with(err, ERR_MALFORMED, "%s: empty", known->texts[i])))
            return context(err, "signedIdentity");
    if (json_object_object_length(rule) != n)
        return fail_with(err, ERR_MALFORMED, "signedIdentity: a member that is not understood");
    if ((strcmp(known->type, "exactReference") == 0 && !reference_member(rule, "dockerReference", false, err)) ||
        (strcmp(known->type, "exactRepository") == 0 && !reference_member(rule, "dockerRepository", true, err)))
        return context(err, "signedIdentity");
    return true;
}

static bool same_repository(const struct image_reference *a, const struct image_reference *b)
{
    return strcmp(a->registry, b->registry) == 0 && strcmp(a->repository, b->repository) == 0;
}

/* Tag against tag; a name without one, on either side, is no exact name. */
static bool same_tag(const struct image_reference *requested, const struct image_reference *signed_as)
{
    return signed_as->has_tag && requested->tag[0] && strcmp(requested->tag, signed_as->tag) == 0;
}

static bool matches_reference(struct json_object *rule, const struct image_reference *signed_as)
{
    struct image_reference wanted;
    struct err             unheard; /* it was read when it was checked */

    if (!image_reference_read(bytes_of_text(json_object_get_string(json_object_object_get(rule, "dockerReference"))),
                              &wanted, &unheard) || !same_repository(&wanted, signed_as))
        return false;
    if (wanted.has_tag && !same_tag(&wanted, signed_as))
        return false;
    return !wanted.has_digest || (signed_as->has_digest && digest_equal(&wanted.digest, &signed_as->digest));
}

static bool matches_repository(struct json_object *rule, const struct image_reference *signed_as)
{
    struct image_reference wanted;
    struct err             unheard; /* as above */

    return image_reference_read(
               bytes_of_text(json_object_get_string(json_object_object_get(rule, "dockerRepository"))), &wanted,
               &unheard) && same_repository(&wanted, signed_as);
}

static bool match_repo_digest_or_exact(const struct image_reference *requested, const struct image_reference *signed_as)
{
    if (!same_repository(requested, signed_as))
        return false;
    return requested->has_digest || same_tag(requested, signed_as);
}

/* The prefix of the requested name is exchanged for the one that the signer uses; then as by default. */
static bool matches_remapped(struct json_object *rule, const struct image_reference *requested,
                             const struct image_reference *signed_as)
{
    const char                *prefix  = json_object_get_string(json_object_object_get(rule, "prefix"));
    const char                *instead = json_object_get_string(json_object_object_get(rule, "signedPrefix"));
    struct reference_text      name    = image_reference_text(requested);
    size_t                     len     = strlen(prefix);
    AUTO(buffer) struct buffer mapped  = { 0 };
    struct image_reference     read;
    struct err                 unheard; /* a name that cannot be mapped does not match */

    if (strncmp(name.at, prefix, len) != 0 || (name.at[len] != '/' && name.at[len] != ':' && name.at[len] != '@'))
        return match_repo_digest_or_exact(requested, signed_as);
    buffer_printf(&mapped, "%s%s", instead, name.at + len);
    return image_reference_read(buffer_bytes(&mapped), &read, &unheard) && match_repo_digest_or_exact(&read, signed_as);
}

static bool matches(struct json_object *rule, const struct image_reference *requested,
                    const struct image_reference *signed_as)
{
    const char *type = rule ? json_object_get_string(json_object_object_get(rule, "type")) : "matchRepoDigestOrExact";

    if (strcmp(type, "matchExact") == 0)
        return same_repository(requested, signed_as) && same_tag(requested, signed_as);
    if (strcmp(type, "matchRepoDigestOrExact") == 0)
        return match_repo_digest_or_exact(requested, signed_as);
    if (strcmp(type, "matchRepository") == 0)
        return same_repository(requested, signed_as);
    if (strcmp(type, "exactReference") == 0)
        return matches_reference(rule, signed_as);
    if (strcmp(type, "exactRepository") == 0)
        return matches_repository(rule, signed_as);
    return strcmp(type, "remapIdentity") == 0 && matches_remapped(rule, requested, signed_as);
}

FALLIBLE signed_identity_match(struct json_object *rule, const struct image_reference *requested,
                               const struct image_reference *signed_as, struct err *err)
{
    struct reference_text wanted = image_reference_name(requested), found = image_reference_name(signed_as);

    if (matches(rule, requested, signed_as))
        return true;
    return fail_with(err, ERR_DENIED, "signed as %.80s%s%.30s, wanted as %.80s%s%.30s%s", found.at,
                     signed_as->has_tag ? ":" : "", signed_as->has_tag ? signed_as->tag : "", wanted.at,
                     requested->tag[0] ? ":" : "", requested->tag,
                     signed_as->has_tag ? "" : " (no tag was signed: signedIdentity matchRepository)");
}
