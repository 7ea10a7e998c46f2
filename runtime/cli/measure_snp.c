/* `cloister measure snp` */
#include <stdio.h>

#include <openssl/pem.h>

#include "base/file.h"
#include "base/options.h"
#include "base/secret.h"
#include "base/text.h"
#include "firmware/measure/cpu_model.h"
#include "firmware/measure/id_block.h"
#include "firmware/measure/snp_launch.h"
#include "runtime/cli/measure_inputs.h"

enum { KEY_FILE_MAX = 64 << 10 };

/* What the options name beyond the files that every platform has. */
struct inputs {
    struct measure_inputs files;
    const char           *cpu_type, *machine;
    const char           *id_block_path, *id_auth_path, *id_key_path, *author_key_path, *family_id, *image_id;
    uint64_t              guest_features, policy, guest_svn;
    bool                  json;
};

static struct json_object *snp_inputs_json(const struct inputs *in, const struct snp_launch_options *o,
                                           const struct snp_measurement *m)
{
    struct json_object *object = measure_inputs_json(&in->files, &m->hashes);
    char                number[32];

    json_add(object, "vcpus", json_object_new_uint64(o->n_vcpus));
    json_add_text(object, "vcpu_type", in->cpu_type);
    (void) snprintf(number, sizeof number, "%#x", o->cpu_signature);
    json_add_text(object, "vcpu_signature", number);
    (void) snprintf(number, sizeof number, "%#llx", (unsigned long long) o->guest_features);
    json_add_text(object, "guest_features", number);
    json_add_text(object, "vmm", vmsa_machine_name(o->machine));
    return object;
}

static struct json_object *snp_regions_json(const struct snp_measurement *m)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < m->n_regions; i++) {
        const struct snp_region *r      = &m->region[i];
        struct json_object      *region = json_object_new_object();
        char                     gpa[32];

        (void) snprintf(gpa, sizeof gpa, "%#llx", (unsigned long long) r->gpa);
        json_add_text(region, "what", r->what);
        json_add_text(region, "type", launch_page_name(r->type));
        json_add_text(region, "gpa", gpa);
        json_add(region, "pages", json_object_new_uint64(r->size / LAUNCH_PAGE_LEN));
        (void) json_object_array_add(array, region); /* fails only without memory */
    }
    return array;
}

static void snp_print_json(const struct inputs *in, const struct snp_launch_options *o,
                           const struct snp_measurement *m, uint8_t (*family)[LAUNCH_DIGEST_LEN])
{
    AUTO(json) struct json_object *object  = json_object_new_object();
    struct json_object            *digests = json_object_new_object();

    json_add_hex(object, "measurement", BYTES_OF(m->digest.at));
    json_add(object, "inputs", snp_inputs_json(in, o, m));
    json_add(object, "regions", snp_regions_json(m));
    json_add(object, "pages", json_object_new_uint64(launch_digest_pages(&m->digest)));
    for (uint32_t i = 0; i < o->n_vcpus; i++) {
        char name[16];

        (void) snprintf(name, sizeof name, "%u", i + 1);
        json_add_hex(digests, name, BYTES_OF(family[i]));
    }
    json_add(object, "by_vcpus", digests);
    measure_print_json(object);
}

static FALLIBLE snp_options(struct inputs *in, struct snp_launch_options *o, struct err *err)
{
    *o = (struct snp_launch_options){ .direct_boot = in->files.kernel_path != NULL, .append = in->files.append,
                                      .n_vcpus = (uint32_t) in->files.n_vcpus, .guest_features = in->guest_features };
    if (!vmsa_machine_read(in->machine, &o->machine, err))
        return context(err, "--vmm");
    if (!cpu_model_signature(in->cpu_type, &o->cpu_signature, err))
        return context(err, "--vcpu-type");
    if (!measure_inputs_load(&in->files, err))
        return false;
    o->firmware = buffer_bytes(&in->files.firmware);
    o->kernel   = buffer_bytes(&in->files.kernel);
    o->initrd   = buffer_bytes(&in->files.initrd);
    return true;
}

static FALLIBLE read_key(const char *path, EVP_PKEY **out, struct err *err)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(secret) struct secret key = { 0 };
    AUTO(bio) BIO             *bio = NULL;
    bool                       good;

    if (!file_read(path, KEY_FILE_MAX, &pem, err))
        return false;
    good = secret_copy(buffer_bytes(&pem), &key, err);
    OPENSSL_cleanse(pem.at, pem.len);
    if (!good)
        return false;

    struct bytes text = secret_expose(&key);

    bio  = BIO_new_mem_buf(text.at, (int) text.len);
    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    return *out || (err_openssl(err, ERR_MALFORMED, "private key"), context(err, path));
}

static FALLIBLE read_id(const char *option, const char *text, uint8_t out[static 16], struct err *err)
{
    if (text && !hex_read_exact(text, out, 16, err))
        return context(err, option);
    return true;
}

static FALLIBLE write_id_block(const struct inputs *in, const struct snp_measurement *m, struct err *err)
{
    struct id_block      block = { .guest_svn = (uint32_t) in->guest_svn, .policy = in->policy };
    AUTO(pkey) EVP_PKEY *id = NULL, *author = NULL;
    uint8_t              bytes[ID_BLOCK_LEN], auth[ID_AUTH_LEN];

    if (!in->id_key_path || !in->id_block_path || !in->id_auth_path)
        return fail_with(err, ERR_CONFIG, "an ID block needs --id-key, --id-block and --id-auth");
    memcpy(block.launch_digest, m->digest.at, sizeof block.launch_digest);
    if (!read_id("--family-id", in->family_id, block.family_id, err) ||
        !read_id("--image-id", in->image_id, block.image_id, err) || !read_key(in->id_key_path, &id, err) ||
        (in->author_key_path && !read_key(in->author_key_path, &author, err)))
        return false;
    id_block_write(&block, bytes);
    return id_auth_sign(bytes, id, author, auth, err) &&
           file_write(in->id_block_path, BYTES_OF(bytes), 0644, err) &&
           file_write(in->id_auth_path, BYTES_OF(auth), 0644, err);
}

static FALLIBLE write_references(const struct inputs *in, uint8_t (*family)[LAUNCH_DIGEST_LEN], struct err *err)
{
    struct reference_values values = {
        .vendor = "AMD", .model = "SEV-SNP", .n = 1,
        .at = { { "snp_launch_measurement", "measurement",
                  (const uint8_t(*)[LAUNCH_DIGEST_LEN]) (family + in->files.n_vcpus - 1), 1 } } };

    return measure_write_references(&in->files, &values, err);
}

static FALLIBLE snp_run(struct inputs *in, struct err *err)
{
    struct snp_launch_options  o      = { .n_vcpus = 0 };
    struct snp_measurement     m      = { .n_regions = 0 };
    AUTO(buffer) struct buffer family = { 0 }, hex = { 0 };

    if (!snp_options(in, &o, err))
        return false;

    uint8_t(*digests)[LAUNCH_DIGEST_LEN] = (void *) buffer_grow(&family, o.n_vcpus * (size_t) LAUNCH_DIGEST_LEN);

    if (!snp_launch_measure(&o, digests, &m, err) || !write_references(in, digests, err))
        return false;
    if ((in->id_key_path || in->id_block_path || in->id_auth_path) && !write_id_block(in, &m, err))
        return false;
    if (in->json) {
        snp_print_json(in, &o, &m, digests);
        return true;
    }
    hex_append(&hex, BYTES_OF(m.digest.at));
    (void) puts(buffer_text(&hex)); /* a reader that went away has no use for the rest */
    return true;
}

static FALLIBLE snp_parse(int argc, char **argv, struct inputs *in, enum options_outcome *outcome, struct err *err)
{
    struct measure_inputs  *f      = &in->files;
    const struct option_row rows[] = {
        { "firmware", OPTION_TEXT, &f->firmware_path, "FILE", "the file given to QEMU's -bios", 0, 0 },
        { "kernel", OPTION_TEXT, &f->kernel_path, "FILE", "kernel of a direct boot with kernel-hashes=on", 0, 0 },
        { "initrd", OPTION_TEXT, &f->initrd_path, "FILE", "its initrd", 0, 0 },
        { "append", OPTION_TEXT, &f->append, "TEXT", "its command line, to the byte", 0, 0 },
        { "vcpus", OPTION_NUMBER, &f->n_vcpus, "N", "number of vCPUs (1)", 1, SNP_VCPUS_MAX },
        { "vcpu-type", OPTION_TEXT, &in->cpu_type, "TYPE", "QEMU's CPU model, or CPUID(1).EAX as 0x... (EPYC-v4)", 0, 0 },
        { "guest-features", OPTION_NUMBER, &in->guest_features, "X", "SEV_FEATURES of the VMSA (0x1)", 0, 0 },
        { "vmm", OPTION_TEXT, &in->machine, "NAME", "who makes the VMSAs: qemu, ec2 or gce (qemu)", 0, 0 },
        { "json", OPTION_FLAG, &in->json, NULL, "print every input, region and page count, and the digests for 1 to N "
          "vCPUs", 0, 0 },
        { "corim", OPTION_TEXT, &f->corim_path, "FILE", "write the digest as an unsigned CoRIM", 0, 0 },
        { "rvps", OPTION_TEXT, &f->rvps_path, "FILE", "write it as a message for Trustee's RVPS", 0, 0 },
        { "id-key", OPTION_TEXT, &in->id_key_path, "PEM", "P-384 key that signs an ID block", 0, 0 },
        { "author-key", OPTION_TEXT, &in->author_key_path, "PEM", "P-384 key that signs the ID key", 0, 0 },
        { "id-block", OPTION_TEXT, &in->id_block_path, "FILE", "write the ID block (96 bytes)", 0, 0 },
        { "id-auth", OPTION_TEXT, &in->id_auth_path, "FILE", "write the ID authentication (4096 bytes)", 0, 0 },
        { "policy", OPTION_NUMBER, &in->policy, "X", "guest policy in the ID block (0x30000)", 0, 0 },
        { "guest-svn", OPTION_NUMBER, &in->guest_svn, "N", "security version in the ID block (0)", 0, UINT32_MAX },
        { "family-id", OPTION_TEXT, &in->family_id, "HEX", "16 bytes in the ID block (zeros)", 0, 0 },
        { "image-id", OPTION_TEXT, &in->image_id, "HEX", "16 bytes in the ID block (zeros)", 0, 0 },
    };
    const struct option_table table = {
        "cloister measure snp", "--firmware FILE [OPTION]...", "Prints the launch digest (MEASUREMENT) of an SEV-SNP "
        "guest as hex.", rows, sizeof rows / sizeof rows[0], false, NULL };
    char **operands   = NULL;
    size_t n_operands = 0;

    if (!options_parse(&table, argc, argv, outcome, &operands, &n_operands, err))
        return false;
    return n_operands == 0 || fail_with(err, ERR_CONFIG, "unexpected \"%s\" (see --help)", operands[0]);
}

static void free_inputs(struct inputs *in) { measure_inputs_free(&in->files); }
static inline void auto_inputs(struct inputs *in) { free_inputs(in); }

int measure_snp(int argc, char **argv)
{
    AUTO(inputs) struct inputs in = { .files = { .n_vcpus = 1 }, .cpu_type = "EPYC-v4", .machine = "qemu",
                                      .guest_features = 1, .policy = 0x30000 };
    enum options_outcome outcome = OPTIONS_RUN;
    struct err           err;

    if (!snp_parse(argc, argv, &in, &outcome, &err))
        return measure_failed("measure snp", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    return snp_run(&in, &err) ? 0 : measure_failed("measure snp", &err);
}
