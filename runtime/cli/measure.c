/* `cloister measure`: what the hardware will report, before it does. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/options.h"
#include "base/text.h"
#include "firmware/measure/cpu_model.h"
#include "firmware/measure/snp_launch.h"
#include "runtime/cli/commands.h"

enum { KERNEL_LEN_MAX = 256 << 20, INITRD_LEN_MAX = 2047 << 20 };
enum { EXIT_UNUSABLE = 2 };

/* What the options name, and the files behind it. */
struct inputs {
    const char   *firmware_path, *kernel_path, *initrd_path, *append, *cpu_type, *machine;
    uint64_t      n_vcpus, guest_features;
    bool          json;
    struct buffer firmware, kernel, initrd;
};

static void inputs_free(struct inputs *in)
{
    buffer_free(&in->firmware);
    buffer_free(&in->kernel);
    buffer_free(&in->initrd);
}
static inline void auto_inputs(struct inputs *in) { inputs_free(in); }

static FALLIBLE inputs_load(struct inputs *in, struct err *err)
{
    if (!in->firmware_path)
        return fail_with(err, ERR_CONFIG, "--firmware is missing (see --help)");
    if (!in->kernel_path && (in->initrd_path || in->append))
        return fail_with(err, ERR_CONFIG, "%s without --kernel means nothing to the firmware: give --kernel too",
                         in->initrd_path ? "--initrd" : "--append");
    return file_read(in->firmware_path, FIRMWARE_LEN_MAX, &in->firmware, err) &&
           (!in->kernel_path || file_read(in->kernel_path, KERNEL_LEN_MAX, &in->kernel, err)) &&
           (!in->initrd_path || file_read(in->initrd_path, INITRD_LEN_MAX, &in->initrd, err));
}

static void print_json(struct json_object *object)
{
    AUTO(buffer) struct buffer text = { 0 };

    json_write(object, &text);
    (void) puts(buffer_text(&text)); /* a closed output is noticed by main's flush */
}

static struct json_object *snp_inputs_json(const struct inputs *in, const struct snp_launch_options *o,
                                           const struct snp_measurement *m)
{
    struct json_object *object = json_object_new_object();
    char                number[32];

    json_add_text(object, "firmware", in->firmware_path);
    if (o->direct_boot) {
        json_add_text(object, "kernel", in->kernel_path);
        json_add_hex(object, "kernel_sha256", BYTES_OF(m->hashes.kernel));
        if (in->initrd_path)
            json_add_text(object, "initrd", in->initrd_path);
        json_add_hex(object, "initrd_sha256", BYTES_OF(m->hashes.initrd));
        json_add_text(object, "append", in->append ? in->append : "");
        json_add_hex(object, "append_sha256", BYTES_OF(m->hashes.cmdline));
    }
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
    print_json(object);
}

static FALLIBLE snp_options(struct inputs *in, struct snp_launch_options *o, struct err *err)
{
    *o = (struct snp_launch_options){ .direct_boot = in->kernel_path != NULL, .append = in->append,
                                      .n_vcpus = (uint32_t) in->n_vcpus, .guest_features = in->guest_features };
    if (!vmsa_machine_read(in->machine, &o->machine, err))
        return context(err, "--vmm");
    if (!cpu_model_signature(in->cpu_type, &o->cpu_signature, err))
        return context(err, "--vcpu-type");
    if (!inputs_load(in, err))
        return false;
    o->firmware = buffer_bytes(&in->firmware);
    o->kernel   = buffer_bytes(&in->kernel);
    o->initrd   = buffer_bytes(&in->initrd);
    return true;
}

static FALLIBLE snp_run(struct inputs *in, struct err *err)
{
    struct snp_launch_options  o      = { .n_vcpus = 0 };
    struct snp_measurement     m      = { .n_regions = 0 };
    AUTO(buffer) struct buffer family = { 0 }, hex = { 0 };

    if (!snp_options(in, &o, err))
        return false;

    uint8_t(*digests)[LAUNCH_DIGEST_LEN] = (void *) buffer_grow(&family, o.n_vcpus * (size_t) LAUNCH_DIGEST_LEN);

    if (!snp_launch_measure(&o, digests, &m, err))
        return false;
    if (in->json) {
        snp_print_json(in, &o, &m, digests);
        return true;
    }
    hex_append(&hex, BYTES_OF(m.digest.at));
    (void) puts(buffer_text(&hex)); /* a closed output is noticed by main's flush */
    return true;
}

static int cmd_snp(int argc, char **argv)
{
    AUTO(inputs) struct inputs in = { .cpu_type = "EPYC-v4", .machine = "qemu", .n_vcpus = 1, .guest_features = 1 };
    const struct option_row    rows[] = {
        { "firmware", OPTION_TEXT, &in.firmware_path, "FILE", "the file given to QEMU's -bios", 0, 0 },
        { "kernel", OPTION_TEXT, &in.kernel_path, "FILE", "kernel of a direct boot with kernel-hashes=on", 0, 0 },
        { "initrd", OPTION_TEXT, &in.initrd_path, "FILE", "its initrd", 0, 0 },
        { "append", OPTION_TEXT, &in.append, "TEXT", "its command line, to the byte", 0, 0 },
        { "vcpus", OPTION_NUMBER, &in.n_vcpus, "N", "number of vCPUs (1)", 1, SNP_VCPUS_MAX },
        { "vcpu-type", OPTION_TEXT, &in.cpu_type, "TYPE", "QEMU's CPU model, or CPUID(1).EAX as 0x... (EPYC-v4)", 0, 0 },
        { "guest-features", OPTION_NUMBER, &in.guest_features, "X", "SEV_FEATURES of the VMSA (0x1)", 0, 0 },
        { "vmm", OPTION_TEXT, &in.machine, "NAME", "who makes the VMSAs: qemu, ec2 or gce (qemu)", 0, 0 },
        { "json", OPTION_FLAG, &in.json, NULL, "print every input, region and page count, and the family of "
          "digests for 1 to N vCPUs", 0, 0 },
    };
    const struct option_table table = {
        "cloister measure snp", "--firmware FILE [OPTION]...", "Prints the launch digest (MEASUREMENT) of an SEV-SNP "
        "guest as hex.", rows, sizeof rows / sizeof rows[0], false, NULL };
    enum options_outcome outcome    = OPTIONS_RUN;
    char               **operands   = NULL;
    size_t               n_operands = 0;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n_operands, &err) ||
        (n_operands > 0 && !fail_with(&err, ERR_CONFIG, "unexpected \"%s\" (see --help)", operands[0]))) {
        fprintf(stderr, "cloister: measure snp: %s\n", err.text);
        return EXIT_UNUSABLE;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!snp_run(&in, &err)) {
        fprintf(stderr, "cloister: measure snp: %s\n", err.text);
        return err.kind == ERR_CONFIG ? EXIT_UNUSABLE : 1;
    }
    return 0;
}

int cmd_measure(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(int argc, char **argv); } platforms[] = {
        { "snp", cmd_snp },
    };

    for (size_t i = 0; argc > 1 && i < sizeof platforms / sizeof platforms[0]; i++)
        if (strcmp(argv[1], platforms[i].name) == 0)
            return platforms[i].run(argc - 1, argv + 1);
    fprintf(stderr, "cloister: measure: say which platform: cloister measure snp --help\n");
    return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : EXIT_UNUSABLE;
}
