#include "base/auto.h"
#include "policy/rego/eval.h"
#include "policy/rego/json.h"
#include "policy/rego/plan_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena      memory  = arena_of(4 << 20), room = arena_of(2 << 20);
    AUTO(program) struct program *p       = NULL;
    struct plan                   plan    = plan_over(&memory);
    struct eval_options           options = { .limits = { .steps = 20000, .depth = 40, .print_bytes = 1000 } };
    struct value                  json, results;
    struct eval_fault             fault;
    struct err                    err;

    if (!json_text_read(&memory, (struct bytes){ data, size }, &json, &err) || !plan_json_read(json, &plan, &err) ||
        !program_new(&plan, &p, &err))
        return 0;
    if (!program_eval(p, 0, json, json, &options, &room, &results, &fault, &err) && err.text[0] == '\0')
        __builtin_trap(); /* a failure without a text */
    return 0;
}
