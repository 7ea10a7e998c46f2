#include "policy/rego/json.h"
#include "policy/rego/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Compiles any text and runs what compiles: within limits, and with an outcome. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(program) struct program *program = NULL;
    AUTO(arena) struct arena      memory  = arena_of(8 << 20);
    struct rego_text              text    = { "fuzz.rego", { data, size } };
    struct rego_options           how     = { .v0 = size % 2 == 1, .print = true, .memory = 32 << 20 };
    struct eval_options           options = { .limits = EVAL_LIMITS_DEFAULT };
    struct rego_diagnostics       why     = { .n = 0 };
    const char                   *query   = "x = data";
    struct eval_fault             fault;
    struct value                  input, base, results;
    struct err                    err;

    if (size > 1 << 14)
        return 0;
    if (!rego_prepare(&text, 1, &query, 1, &how, &program, &why, &err)) {
        if (err.kind == ERR_NONE || err.text[0] == '\0')
            __builtin_trap(); /* a refusal has a reason */
        return 0;
    }
    options.limits.steps = 20000;
    if (json_text_read(&memory, bytes_of_text("{\"a\":[1,\"b\",null],\"c\":{\"d\":2.5}}"), &input, &err) &&
        json_text_read(&memory, bytes_of_text("{\"e\":{\"f\":[true]}}"), &base, &err) &&
        program_eval(program, 0, input, base, &options, &memory, &results, &fault, &err) && !value_is(results, VALUE_ARRAY))
        __builtin_trap(); /* results are an array */
    return 0;
}
