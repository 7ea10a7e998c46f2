#include "attestation/verifier/snp_id_block.h"

#include <string.h>

#include "attestation/verifier/p384.h"

static FALLIBLE signed_by(const struct snp_id_key *key, struct bytes message, const struct snp_id_signature *signature,
                          const char *what, struct appraisal *a)
{
    uint8_t              x[P384_INTEGER_LEN], y[P384_INTEGER_LEN], r[P384_INTEGER_LEN], s[P384_INTEGER_LEN], digest[SHA384_LEN];
    AUTO(pkey) EVP_PKEY *public_key = NULL;

    if (!check(a, p384_coordinate_read(key->x, x) && p384_coordinate_read(key->y, y) && p384_key_of(x, y, &public_key),
               REASON_SNP_ID_BLOCK_SIGNATURE, "%s: the key is a point of P-384", what) ||
        !check(a, p384_integer_read(signature->r, r) && p384_integer_read(signature->s, s), REASON_SNP_ID_BLOCK_SIGNATURE,
               "%s: r and s are in range", what))
        return false;
    sha384_of(message, digest);
    return check(a, p384_signed(public_key, digest, r, s), REASON_SNP_ID_BLOCK_SIGNATURE, "%s: signature", what);
}

FALLIBLE snp_id_block_verify(struct bytes block, struct bytes auth, struct snp_id_facts *out, struct appraisal *a)
{
    struct snp_id_facts f = { 0 };
    struct err          err;

    if (!snp_id_block_parse(block, &f.block, &err) || !snp_id_auth_parse(auth, &f.auth, &err))
        return check(a, false, REASON_SNP_ID_BLOCK, "%s", err.text);
    if (!signed_by(&f.auth.id_key, f.block.raw, &f.auth.block_signature, "ID block by the ID key", a) ||
        (f.auth.has_author &&
         !signed_by(&f.auth.author_key, f.auth.id_key.raw, &f.auth.key_signature, "ID key by the author key", a)))
        return false;
    sha384_of(f.auth.id_key.raw, f.id_key_digest);
    if (f.auth.has_author)
        sha384_of(f.auth.author_key.raw, f.author_key_digest);
    *out = f;
    return true;
}

FALLIBLE snp_id_block_matches(const struct snp_id_facts *facts, const struct snp_report *report, struct appraisal *a)
{
    const struct snp_id_block *b = &facts->block;
    const struct { const char *name; struct bytes of_block, of_report; } fields[] = {
        { "launch digest", b->launch_digest, report->measurement },
        { "FAMILY_ID", b->family_id, report->family_id },
        { "IMAGE_ID", b->image_id, report->image_id },
        { "ID key digest", BYTES_OF(facts->id_key_digest), report->id_key_digest },
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!check(a, bytes_equal(fields[i].of_block, fields[i].of_report), REASON_SNP_ID_BLOCK_BINDING,
                   "%s of ID block and report are equal", fields[i].name))
            return false;
    return check(a, b->guest_svn == report->guest_svn, REASON_SNP_ID_BLOCK_BINDING, "GUEST_SVN of ID block %u, of report %u",
                 b->guest_svn, report->guest_svn) &&
           check(a, b->policy == report->policy, REASON_SNP_ID_BLOCK_BINDING, "POLICY of ID block %#llx, of report %#llx",
                 (unsigned long long) b->policy, (unsigned long long) report->policy) &&
           check(a, facts->auth.has_author || !report->author_key_en, REASON_SNP_ID_BLOCK_BINDING,
                 "the report has an author key only if the ID block has one") &&
           check(a, !report->author_key_en || bytes_equal(BYTES_OF(facts->author_key_digest), report->author_key_digest),
                 REASON_SNP_ID_BLOCK_BINDING, "author key digests of ID block and report are equal");
}
