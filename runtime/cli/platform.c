#include "runtime/cli/platform.h"

#include <string.h>

#include "attestation/evidence/snp_id_block.h"
#include "base/file.h"

void platform_free(struct platform *platform)
{
    buffer_free(&platform->id_block);
    buffer_free(&platform->id_auth);
    *platform = (struct platform){ 0 };
}

/* The firmware of the security processor refuses a wrong one as well, but says less. */
static FALLIBLE read_id_block(const struct platform_options *o, struct platform *p, struct err *err)
{
    struct snp_id_block block;
    struct snp_id_auth  auth;

    if (!o->id_block != !o->id_auth)
        return fail_with(err, ERR_CONFIG, "--id-block and --id-auth are wanted together; cloister measure snp writes both");
    if (!o->id_block)
        return true;
    if (!file_read(o->id_block, SNP_ID_BLOCK_LEN, &p->id_block, err) ||
        !snp_id_block_parse(buffer_bytes(&p->id_block), &block, err))
        return contextf(err, "--id-block %s", o->id_block);
    if (!file_read(o->id_auth, SNP_ID_AUTH_LEN, &p->id_auth, err) ||
        !snp_id_auth_parse(buffer_bytes(&p->id_auth), &auth, err))
        return contextf(err, "--id-auth %s", o->id_auth);
    if (block.policy != o->snp_policy)
        return fail_with(err, ERR_CONFIG, "--id-block is for policy %#llx, not %#llx: the launch would be refused",
                         (unsigned long long) block.policy, (unsigned long long) o->snp_policy);
    p->binding.id_block       = buffer_bytes(&p->id_block);
    p->binding.id_auth        = buffer_bytes(&p->id_auth);
    p->binding.has_author_key = auth.has_author;
    return true;
}

static FALLIBLE bind_snp(const struct platform_options *o, const struct host *host, struct platform *p, struct err *err)
{
    if (host->c_bit == 0)
        return fail_with(err, ERR_UNSUPPORTED, "--tee snp: CPUID 0x8000001F names no C-bit; is this a host, and not a guest?");
    p->binding.snp_policy        = o->snp_policy;
    p->binding.cpu_model         = o->cpu_model;
    p->binding.c_bit             = host->c_bit;
    p->binding.reduced_phys_bits = host->reduced_phys_bits;
    return read_id_block(o, p, err);
}

static FALLIBLE refuse_unused(const struct platform_options *o, enum tee tee, struct err *err)
{
    if (tee != TEE_SNP && (o->id_block || o->id_auth))
        return fail_with(err, ERR_CONFIG, "--id-block and --id-auth are for --tee snp, not %s", tee_name(tee));
    if (tee != TEE_TDX && o->quote_socket)
        return fail_with(err, ERR_CONFIG, "--quote-socket is for --tee tdx, not %s", tee_name(tee));
    return true;
}

FALLIBLE platform_choose(const struct platform_options *o, struct host *host, struct platform *out,
                         struct err *err)
{
    AUTO(platform) struct platform p = { 0 };
    const char                    *why, *accel_why;
    struct err                     lacks;

    if (!host_choose_tee(o->tee, host, &p.tee, &why, err) || !refuse_unused(o, p.tee, err))
        return false;
    if ((p.tee == TEE_SNP || p.tee == TEE_TDX) && !host->has_qemu)
        host_ask_qemu(host);
    if (!host_check_tee(host, p.tee, &lacks))
        return fail_with(err, lacks.kind, "%s; cloister doctor says more", lacks.text);
    if (!channel_read(o->channel, &p.channel, err) || !host_choose_accelerator(o->accel, host, &p.accel, &accel_why, err))
        return false;
    switch (p.tee) {
    case TEE_SNP:
        if (!bind_snp(o, host, &p, err))
            return false;
        break;
    case TEE_TDX:
        p.binding.quote_socket = o->quote_socket;
        break;
    case TEE_TPM:
        fprintf(stderr, "cloister: warning: --tee tpm HIDES NOTHING from this host: its memory is not encrypted and its TPM "
                        "is swtpm here; it proves what was booted to who trusts this host\n");
        break;
    case TEE_SIM:
        fprintf(stderr, "cloister: warning: --tee sim PROTECTS NOTHING: the platform is simulated (%s); "
                        "this host can read all of the guest's memory\n", why);
        break;
    }
    *out = TAKE(p);
    return true;
}
