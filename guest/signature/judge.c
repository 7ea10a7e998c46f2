#include "guest/signature/judge.h"

#include <string.h>

#include "base/text.h"

/* Signatures are fetched once, for the first requirement that wants them. */
struct judging {
    const struct image_case *of;
    struct signatures        signatures;
    bool                     has_signatures;
    bool                     is_vouched_for; /* something told this content from any other */
};

/* PEM of a key: its base64, or where the broker has it. */
static FALLIBLE pem_get(const struct judging *j, const char *data, const char *path, struct buffer *out, struct err *err)
{
    char kid[ENC_KID_MAX + 1];

    if (data)
        return base64_read(bytes_of_text(data), BASE64_STANDARD, out, err);
    return kid_read(bytes_of_text(path), kid, err) && j->of->key(j->of->owner, kid, out, err);
}

/* One text, or each of several; NULL behind the last. */
static const char *text_at(struct json_object *requirement, const char *one, const char *several, size_t i)
{
    struct json_object *list = json_object_object_get(requirement, several);

    if (list)
        return i < json_object_array_length(list) ? json_object_get_string(json_object_array_get_idx(list, i)) : NULL;
    return i == 0 && json_has(requirement, one) ? json_object_get_string(json_object_object_get(requirement, one)) : NULL;
}

static FALLIBLE keys_read(const struct judging *j, struct json_object *requirement, EVP_PKEY *keys[static POLICY_KEYS_MAX],
                          size_t *n, struct err *err)
{
    for (size_t i = 0; i < POLICY_KEYS_MAX; i++) {
        AUTO(buffer) struct buffer pem  = { 0 };
        const char                *data = text_at(requirement, "keyData", "keyDatas", i);
        const char                *path = text_at(requirement, "keyPath", "keyPaths", i);

        if (!data && !path)
            break;
        if (!pem_get(j, data, path, &pem, err))
            return context(err, "public key");
        if (!cosign_key_read(buffer_bytes(&pem), &keys[*n], err))
            return false;
        (*n)++;
    }
    return true;
}

/* The claim that the signer added: cosign sign -a NAME=N. */
static FALLIBLE floor_hold(struct json_object *requirement, const struct signature_payload *payload, struct err *err)
{
    struct json_object *floor = json_object_object_get(requirement, "floor");
    const char         *name, *claim;
    char               *end;

    if (!floor)
        return true;
    name = json_object_get_string(json_object_object_get(floor, "annotation"));
    uint64_t least = json_object_get_uint64(json_object_object_get(floor, "atLeast"));

    if (!json_get_text(payload->optional, name, &claim, err))
        return fail_with(err, ERR_DENIED, "the signature does not claim \"%.40s\", whose floor is %llu", name,
                         (unsigned long long) least);
    uint64_t found = claim[0] >= '0' && claim[0] <= '9' && strlen(claim) <= 18 ? strtoull(claim, &end, 10) : 0;

    if (found == 0 || *end != '\0' || found < least)
        return fail_with(err, ERR_DENIED, "signed with %.40s %.20s, below the floor, %llu", name, claim,
                         (unsigned long long) least);
    return true;
}

static FALLIBLE signature_holds(const struct judging *j, struct json_object *requirement, EVP_PKEY *const *keys,
                                size_t n_keys, const struct signature *signature, struct err *err)
{
    AUTO(signature_payload) struct signature_payload payload = { 0 };
    size_t                                           by      = 0;

    while (by < n_keys && !cosign_verify(keys[by], signature, err))
        by++;
    if (by == n_keys || !signature_payload_read(buffer_bytes(&signature->payload), &payload, err))
        return false;
    if (!digest_equal(&payload.manifest, &j->of->manifest))
        return fail_with(err, ERR_DENIED, "the signature is of another image");
    return signed_identity_match(json_object_object_get(requirement, "signedIdentity"), j->of->requested,
                                 &payload.identity, err) &&
           floor_hold(requirement, &payload, err);
}

/* One good signature is enough; of those that are not, the one that came nearest is reported. */
static FALLIBLE signatures_hold(const struct judging *j, struct json_object *requirement, EVP_PKEY *const *keys,
                                size_t n_keys, struct err *err)
{
    struct err nearest;

    (void) (j->signatures.n_bundles > 0 /* false by contract, both */
                ? fail_with(&nearest, ERR_DENIED, "no signature by the wanted key (%zu found, and %zu sigstore bundles, which are not "
                            "read: cosign sign --new-bundle-format=false)", j->signatures.n, j->signatures.n_bundles)
                : fail_with(&nearest, ERR_DENIED, "no signature by the wanted key (%zu found)", j->signatures.n));
    for (size_t i = 0; i < j->signatures.n; i++) {
        if (signature_holds(j, requirement, keys, n_keys, &j->signatures.at[i], err))
            return true;
        if (err->kind != ERR_UNTRUSTED)
            nearest = *err;
    }
    *err      = nearest;
    err->kind = ERR_DENIED;
    return false;
}

static FALLIBLE is_signed(struct judging *j, struct json_object *requirement, struct err *err)
{
    EVP_PKEY *keys[POLICY_KEYS_MAX] = { 0 };
    size_t    n                     = 0;

    if (!j->of->requested)
        return fail_with(err, ERR_DENIED, "an image without a name in a registry has no signatures");
    if (!j->has_signatures && !j->of->signatures(j->of->owner, &j->of->manifest, &j->signatures, err))
        return context(err, "signatures");
    j->has_signatures = true;
    bool ok = keys_read(j, requirement, keys, &n, err) && signatures_hold(j, requirement, keys, n, err);

    for (size_t i = 0; i < n; i++)
        EVP_PKEY_free(keys[i]);
    j->is_vouched_for |= ok;
    return ok;
}

/*
 * The key's holder made the layers, but nobody vouches for the configuration or for how layers were put together: that
 * takes a digest or a signature.
 */
static FALLIBLE want_key(struct json_object *requirement, struct image_verdict *verdict, struct err *err)
{
    struct json_object *id = json_object_object_get(requirement, "keyId");
    char                kid[ENC_KID_MAX + 1];

    verdict->must_be_encrypted = true;
    if (!id)
        return true;
    if (!kid_read(bytes_of_text(json_object_get_string(id)), kid, err))
        return false;
    if (verdict->required_kid[0] && strcmp(verdict->required_kid, kid) != 0)
        return fail_with(err, ERR_DENIED, "two keys are wanted at once");
    memcpy(verdict->required_kid, kid, sizeof kid);
    return true;
}

static FALLIBLE requirement_holds(struct judging *j, struct json_object *requirement, struct image_verdict *verdict,
                                  struct err *err)
{
    const char *type = json_object_get_string(json_object_object_get(requirement, "type"));

    if (strcmp(type, "insecureAcceptAnything") == 0) {
        j->is_vouched_for = true; /* the owner's word */
        return true;
    }
    if (strcmp(type, "sigstoreSigned") == 0)
        return is_signed(j, requirement, err);
    if (strcmp(type, "encryptedWith") == 0)
        return want_key(requirement, verdict, err);
    return strcmp(type, "reject") == 0 ? fail_with(err, ERR_DENIED, "the policy rejects it") :
                                         fail_with(err, ERR_DENIED, "%.20s (OpenPGP) cannot be checked here", type);
}

static FALLIBLE judge(struct judging *j, struct json_object *list, struct image_verdict *verdict, struct err *err)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (!requirement_holds(j, json_object_array_get_idx(list, i), verdict, err))
            return false;
    return j->is_vouched_for || j->of->is_pinned ||
           fail_with(err, ERR_DENIED, "encryption does not vouch for its configuration: want a signature too, or pin the digest");
}

FALLIBLE image_judge(const struct image_policy *policy, const struct image_case *of, struct image_verdict *out,
                     struct err *err)
{
    struct judging       judging = { .of = of };
    struct image_verdict verdict = { 0 };

    if (!policy && !of->is_pinned)
        return fail_with(err, ERR_DENIED, "image policy: none, and no digest: a tag may name anything");
    if (policy) {
        bool ok = judge(&judging, image_policy_requirements(policy, of->requested), &verdict, err);

        signatures_free(&judging.signatures);
        if (!ok)
            return context(err, "image policy");
    }
    *out = verdict;
    return true;
}
