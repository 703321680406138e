// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for gcc 12 (C and C++): writes every function as the front end leaves it, one line of JSON each, with
 * constructors, destructors and early returns as the calls and jumps that they are. lower.py makes C of it.
 *
 *	-fplugin=lower.so -fplugin-arg-lower-out=FILE
 *
 * It comes before any optimizer: nothing is inlined, and a statement stands where the source has it. Whatever it does
 * not know ends the compilation: a statement that is left out would be a way that is not checked.
 */
#include "gcc-plugin.h"
#include "plugin-version.h"
#include "tree.h"
#include "gimple.h"
#include "gimple-iterator.h"
#include "tree-pass.h"
#include "context.h"
#include "ssa.h"
#include "tree-cfg.h"
#include "tree-dfa.h"
#include "tree-ssanames.h"
#include "cgraph.h"
#include "langhooks.h"
#include "attribs.h"
#include "stringpool.h"
#include "diagnostic.h"
#include "diagnostic-core.h"
#include "print-tree.h"
#include "tree-pretty-print.h"
#include "fold-const.h"
#include "internal-fn.h"

#include <string>

int plugin_is_GPL_compatible;

/* The C++ front end's; the C compiler has none. */
extern const char *type_as_string(tree type, int flags) __attribute__((weak));

namespace {

constexpr int known_major = 12;

FILE *out;

std::string quoted(const char *text)
{
	std::string result = "\"";

	for (; *text; text++) {
		const unsigned char c = *text;

		if (c == '"' || c == '\\') {
			result += '\\';
			result += c;
		} else if (c < 0x20 || c > 0x7e) {
			char code[8];

			snprintf(code, sizeof(code), "\\u%04x", c);
			result += code;
		} else {
			result += c;
		}
	}
	return result + "\"";
}

std::string number(long value)
{
	return std::to_string(value);
}

/* Qualified, without parameters: unidax::Box<X>::~Box. */
std::string name_of(tree decl)
{
	const char *name = lang_hooks.decl_printable_name(decl, 1);

	return name ? name : "?";
}

std::string symbol_of(tree decl)
{
	const char *name = IDENTIFIER_POINTER(DECL_ASSEMBLER_NAME(decl));

	return *name == '*' ? name + 1 : name;
}

std::string type_name(tree type)
{
	type = TYPE_MAIN_VARIANT(type);
	/* With template arguments, which tell owners apart. */
	if (type_as_string)
		return type_as_string(type, 0);

	tree name = TYPE_NAME(type);

	if (!name)
		return "?";
	if (TREE_CODE(name) == TYPE_DECL) {
		const char *text = lang_hooks.decl_printable_name(name, 1);

		return text ? text : "?";
	}
	return IDENTIFIER_POINTER(name);
}

/* Whether a class is one of those whose values say that something failed: it is called Error. */
bool ends_in_error(tree type)
{
	const std::string name = type_name(type);

	return name == "Error" || (name.size() > 7 && name.compare(name.size() - 7, 7, "::Error") == 0);
}

/* The innermost field of a record that lies at an offset in bits, as Class::field; "" when there is none. */
std::string field_at(tree type, HOST_WIDE_INT offset)
{
	std::string found;

	while (type && RECORD_OR_UNION_TYPE_P(type)) {
		tree inner = NULL_TREE;

		for (tree field = TYPE_FIELDS(type); field; field = DECL_CHAIN(field)) {
			if (TREE_CODE(field) != FIELD_DECL || !DECL_SIZE(field) ||
			    !tree_fits_shwi_p(DECL_SIZE(field)))
				continue;

			const HOST_WIDE_INT start = int_bit_position(field);
			const HOST_WIDE_INT size = tree_to_shwi(DECL_SIZE(field));

			if (offset < start || offset >= start + size)
				continue;
			if (DECL_NAME(field))
				found = type_name(type) + "::" + IDENTIFIER_POINTER(DECL_NAME(field));
			inner = TREE_TYPE(field);
			offset -= start;
			break;
		}
		type = inner;
	}
	return found;
}

std::string operand(tree node);

void join(std::string &to, const std::string &what)
{
	if (!to.empty())
		to += ",";
	to += what;
}

/* A place in memory: ["m", base, offset in bits or null, field, indices]. The base is a variable or a pointer. */
std::string place(tree ref)
{
	poly_int64 offset, size, max_size;
	bool reverse;
	tree base = get_ref_base_and_extent(ref, &offset, &size, &max_size, &reverse);
	/* A TARGET_MEM_REF has an index. */
	const bool known = known_size_p(max_size) && known_eq(size, max_size) && TREE_CODE(base) != TARGET_MEM_REF;
	HOST_WIDE_INT at = offset.to_constant();
	std::string field, of, indices;
	tree record = NULL_TREE;

	if (TREE_CODE(base) == MEM_REF || TREE_CODE(base) == TARGET_MEM_REF) {
		tree pointer = TREE_OPERAND(base, 0);

		if (TREE_CODE(base) == MEM_REF)
			at += mem_ref_offset(base).to_constant().to_shwi() * BITS_PER_UNIT;
		of = operand(pointer);
		if (POINTER_TYPE_P(TREE_TYPE(pointer)))
			record = TREE_TYPE(TREE_TYPE(pointer));
	} else {
		of = operand(base);
		record = TREE_TYPE(base);
	}
	for (tree part = ref; handled_component_p(part); part = TREE_OPERAND(part, 0)) {
		if (TREE_CODE(part) == ARRAY_REF)
			join(indices, operand(TREE_OPERAND(part, 1)));
	}
	for (tree part = ref; handled_component_p(part); part = TREE_OPERAND(part, 0)) {
		if (TREE_CODE(part) != COMPONENT_REF)
			continue;

		tree decl = TREE_OPERAND(part, 1);

		if (DECL_NAME(decl)) {
			field = type_name(DECL_CONTEXT(decl)) + "::" + IDENTIFIER_POINTER(DECL_NAME(decl));
			/* What is an aggregate still is named by what it begins with. */
			if (RECORD_OR_UNION_TYPE_P(TREE_TYPE(decl)) && field_at(TREE_TYPE(decl), 0) != "")
				field = field_at(TREE_TYPE(decl), 0);
			break;
		}
	}
	if (known && field.empty() && record && RECORD_OR_UNION_TYPE_P(record))
		field = field_at(record, at);
	return "[\"m\"," + of + "," + (known ? number(at) : std::string("null")) + "," + quoted(field.c_str()) + ",[" +
	       indices + "]]";
}

std::string variable(tree decl)
{
	const bool global = is_global_var(decl);
	std::string name = DECL_NAME(decl) ? IDENTIFIER_POINTER(DECL_NAME(decl)) : "D";

	if (TREE_CODE(decl) == RESULT_DECL)
		name = "<retval>";
	return "[\"d\"," + quoted(name.c_str()) + "," + number(DECL_UID(decl)) + "," +
	       (global ? "1" : TREE_CODE(decl) == RESULT_DECL ? "2" : TREE_CODE(decl) == PARM_DECL ? "3" : "0") + "]";
}

std::string operand(tree node)
{
	switch (TREE_CODE(node)) {
	case SSA_NAME: {
		tree var = SSA_NAME_VAR(node);
		std::string name = var && DECL_NAME(var) ? IDENTIFIER_POINTER(DECL_NAME(var)) : "";
		/* How it begins: 1 never set, 2 a parameter, 3 where the result goes. */
		int begins = 0;

		if (SSA_NAME_IS_DEFAULT_DEF(node) && var) {
			begins = TREE_CODE(var) == PARM_DECL ? 2 : TREE_CODE(var) == RESULT_DECL ? 3 : 1;
		}
		return "[\"s\"," + number(SSA_NAME_VERSION(node)) + "," + quoted(name.c_str()) + "," + number(begins) +
		       "," + (POINTER_TYPE_P(TREE_TYPE(node)) ? "1" : "0") + "]";
	}
	case INTEGER_CST:
		if (tree_fits_shwi_p(node))
			return "[\"c\"," + number(tree_to_shwi(node)) + "]";
		if (tree_fits_uhwi_p(node))
			return "[\"c\"," + std::to_string(tree_to_uhwi(node)) + "]";
		return "[\"o\",\"wide\"]";
	case REAL_CST:
	case COMPLEX_CST:
	case VECTOR_CST:
	case CONSTRUCTOR:
	case CONST_DECL:
		return "[\"o\",\"constant\"]";
	case STRING_CST:
		return "[\"str\"," + quoted(TREE_STRING_POINTER(node)) + "]";
	case FUNCTION_DECL:
		return "[\"f\"," + quoted(name_of(node).c_str()) + "," + quoted(symbol_of(node).c_str()) + "]";
	case LABEL_DECL:
		return "[\"o\",\"label\"]";
	case ADDR_EXPR: {
		tree inner = TREE_OPERAND(node, 0);

		if (TREE_CODE(inner) == STRING_CST || TREE_CODE(inner) == FUNCTION_DECL)
			return operand(inner);
		if (handled_component_p(inner)) {
			tree base = get_base_address(inner);

			if (base && TREE_CODE(base) == STRING_CST)
				return operand(base);
		}
		return "[\"a\"," + operand(inner) + "]";
	}
	case VAR_DECL:
	case PARM_DECL:
	case RESULT_DECL:
		return variable(node);
	case MEM_REF:
	case TARGET_MEM_REF:
	case COMPONENT_REF:
	case ARRAY_REF:
	case ARRAY_RANGE_REF:
	case BIT_FIELD_REF:
	case VIEW_CONVERT_EXPR:
	case REALPART_EXPR:
	case IMAGPART_EXPR:
		if (TREE_CODE(node) == VIEW_CONVERT_EXPR && TREE_CODE(TREE_OPERAND(node, 0)) == SSA_NAME)
			return operand(TREE_OPERAND(node, 0));
		if ((TREE_CODE(node) == REALPART_EXPR || TREE_CODE(node) == IMAGPART_EXPR ||
		     TREE_CODE(node) == BIT_FIELD_REF) &&
		    TREE_CODE(TREE_OPERAND(node, 0)) == SSA_NAME)
			return operand(TREE_OPERAND(node, 0));
		return place(node);
	case OBJ_TYPE_REF:
		return "[\"o\",\"virtual\"]";
	default:
		fatal_error(input_location, "lower: operand %qs is not understood", get_tree_code_name(TREE_CODE(node)));
	}
}

std::string position(location_t where)
{
	const expanded_location at = expand_location(where);

	return "[" + quoted(at.file ? at.file : "") + "," + number(at.line) + "]";
}

/* Where a statement stands, then where each function that it was inlined from is called, innermost first. */
std::string positions(location_t where)
{
	std::string result = "[" + position(where);

	for (tree block = LOCATION_BLOCK(where); block && TREE_CODE(block) == BLOCK;
	     block = BLOCK_SUPERCONTEXT(block)) {
		if (!inlined_function_outer_scope_p(block))
			continue;
		result += "," + position(BLOCK_SOURCE_LOCATION(block));
	}
	return result + "]";
}

/* Each function that a statement was inlined from, innermost first. */
std::string inlined_from(location_t where)
{
	std::string result = "[";

	for (tree block = LOCATION_BLOCK(where); block && TREE_CODE(block) == BLOCK;
	     block = BLOCK_SUPERCONTEXT(block)) {
		if (!inlined_function_outer_scope_p(block))
			continue;

		tree origin = block_ultimate_origin(block);

		if (origin && TREE_CODE(origin) == FUNCTION_DECL) {
			if (result.size() > 1)
				result += ",";
			result += quoted(name_of(origin).c_str());
		}
	}
	return result + "]";
}

std::string list(const std::string &joined)
{
	return "[" + joined + "]";
}

/* What kind of function it is, and the class that it belongs to: ["", "ctor", "dtor" or "method", class]. */
std::string role(tree decl)
{
	tree context = DECL_CONTEXT(decl);

	if (!context || !TYPE_P(context))
		return "[\"\",\"\"]";
	return list(quoted(DECL_CXX_CONSTRUCTOR_P(decl) ? "ctor" : DECL_CXX_DESTRUCTOR_P(decl) ? "dtor" : "method") + "," +
		    quoted(type_name(context).c_str()));
}

/*
 * How a function takes each parameter: r as an rvalue, v by value with a destructor, e an error by value, & an lvalue
 * reference, . otherwise; behind a blank what it returns: & a reference, v a class with a destructor, s another class,
 * p a pointer, 0 nothing, . otherwise.
 */
std::string takes(tree decl)
{
	std::string how;

	for (tree arg = TYPE_ARG_TYPES(TREE_TYPE(decl)); arg && arg != void_list_node; arg = TREE_CHAIN(arg)) {
		tree type = TREE_VALUE(arg);

		if (TREE_CODE(type) == REFERENCE_TYPE)
			how += TYPE_REF_IS_RVALUE(type) ? 'r' : '&';
		else if (RECORD_OR_UNION_TYPE_P(type) && TREE_ADDRESSABLE(type))
			how += 'v';
		else if (RECORD_OR_UNION_TYPE_P(type) && ends_in_error(type))
			how += 'e';
		else
			how += '.';
	}

	tree type = TREE_TYPE(TREE_TYPE(decl));

	how += ' ';
	how += TREE_CODE(type) == REFERENCE_TYPE ? '&' :
	       VOID_TYPE_P(type)		 ? '0' :
	       POINTER_TYPE_P(type)		 ? 'p' :
	       RECORD_OR_UNION_TYPE_P(type)	 ? TREE_ADDRESSABLE(type) ? 'v' : 's' :
						   '.';
	return how;
}

/* Whether a function's result must not be ignored: the function or the class of the result says so. */
bool is_minded(tree decl)
{
	tree result = TREE_TYPE(TREE_TYPE(decl));

	return lookup_attribute("nodiscard", DECL_ATTRIBUTES(decl)) ||
	       lookup_attribute("warn_unused_result", DECL_ATTRIBUTES(decl)) ||
	       lookup_attribute("warn_unused_result", TYPE_ATTRIBUTES(TREE_TYPE(decl))) ||
	       lookup_attribute("nodiscard", TYPE_ATTRIBUTES(TYPE_MAIN_VARIANT(result)));
}

std::string statement(gimple *stmt)
{
	const location_t where = gimple_location(stmt);
	const std::string at = ",\"at\":" + positions(where) + ",\"in\":" + inlined_from(where) + "}";

	switch (gimple_code(stmt)) {
	case GIMPLE_ASSIGN: {
		if (gimple_clobber_p(stmt))
			return "{\"k\":\"end\",\"lhs\":" + operand(gimple_assign_lhs(stmt)) + at;

		std::string from;

		for (unsigned int i = 1; i < gimple_num_ops(stmt); i++)
			join(from, operand(gimple_op(stmt, i)));

		const enum tree_code code = gimple_assign_rhs_code(stmt);
		/* A load, a copy and a constant are all called copy. */
		const bool single = get_gimple_rhs_class(code) == GIMPLE_SINGLE_RHS;

		return std::string("{\"k\":\"set\",\"op\":") + quoted(single ? "copy" : get_tree_code_name(code)) +
		       ",\"lhs\":" + operand(gimple_assign_lhs(stmt)) + ",\"rhs\":" + list(from) + at;
	}
	case GIMPLE_CALL: {
		tree callee = gimple_call_fndecl(stmt);
		std::string arguments, fn = "null", symbol = "null", via = "null", about;

		for (unsigned int i = 0; i < gimple_call_num_args(stmt); i++)
			join(arguments, operand(gimple_call_arg(stmt, i)));
		if (callee) {
			fn = quoted(name_of(callee).c_str());
			symbol = quoted(symbol_of(callee).c_str());
			about = ",\"of\":" + role(callee) + ",\"takes\":" + quoted(takes(callee).c_str());
			/* What it returns is to be looked at, or its class says so of all its values. */
			if (is_minded(callee))
				about += ",\"minded\":1";
		} else if (gimple_call_internal_p(stmt)) {
			fn = quoted((std::string(".") + internal_fn_name(gimple_call_internal_fn(stmt))).c_str());
		} else {
			via = operand(gimple_call_fn(stmt));
		}
		return "{\"k\":\"call\",\"fn\":" + fn + ",\"sym\":" + symbol + ",\"via\":" + via +
		       ",\"lhs\":" + (gimple_call_lhs(stmt) ? operand(gimple_call_lhs(stmt)) : std::string("null")) +
		       ",\"noreturn\":" + (gimple_call_noreturn_p(stmt) ? "1" : "0") + ",\"args\":" + list(arguments) +
		       about + at;
	}
	case GIMPLE_COND:
		return std::string("{\"k\":\"if\",\"op\":") + quoted(get_tree_code_name(gimple_cond_code(stmt))) +
		       ",\"rhs\":" + list(operand(gimple_cond_lhs(stmt)) + "," + operand(gimple_cond_rhs(stmt))) + at;
	case GIMPLE_SWITCH: {
		gswitch *table = as_a<gswitch *>(stmt);
		std::string cases;

		for (unsigned int i = 0; i < gimple_switch_num_labels(table); i++) {
			tree label = gimple_switch_label(table, i);
			const basic_block to = label_to_block(cfun, CASE_LABEL(label));

			join(cases, list((CASE_LOW(label) ? operand(CASE_LOW(label)) : std::string("null")) + "," +
					 number(to->index)));
		}
		return "{\"k\":\"switch\",\"rhs\":" + list(operand(gimple_switch_index(table))) +
		       ",\"cases\":" + list(cases) + at;
	}
	case GIMPLE_RETURN: {
		tree value = gimple_return_retval(as_a<greturn *>(stmt));

		return "{\"k\":\"return\",\"rhs\":" + list(value ? operand(value) : "") + at;
	}
	case GIMPLE_ASM: {
		gasm *code = as_a<gasm *>(stmt);
		std::string inputs, outputs, labels;

		for (unsigned int i = 0; i < gimple_asm_ninputs(code); i++)
			join(inputs, operand(TREE_VALUE(gimple_asm_input_op(code, i))));
		for (unsigned int i = 0; i < gimple_asm_noutputs(code); i++)
			join(outputs, operand(TREE_VALUE(gimple_asm_output_op(code, i))));
		return "{\"k\":\"asm\",\"lhs\":" + list(outputs) + ",\"rhs\":" + list(inputs) + at;
	}
	case GIMPLE_LABEL:
	case GIMPLE_NOP:
	case GIMPLE_PREDICT:
	case GIMPLE_DEBUG:
		return "";
	default:
		fatal_error(where, "lower: statement %qs is not understood", gimple_code_name[gimple_code(stmt)]);
	}
}

void function(struct function *fun)
{
	tree decl = fun->decl;
	std::string parameters, blocks;

	for (tree param = DECL_ARGUMENTS(decl); param; param = DECL_CHAIN(param)) {
		tree ssa = ssa_default_def(fun, param);
		tree type = TREE_TYPE(param);

		join(parameters, list((ssa ? operand(ssa) : variable(param)) + "," +
				      quoted(DECL_NAME(param) ? IDENTIFIER_POINTER(DECL_NAME(param)) : "") + "," +
				      (DECL_BY_REFERENCE(param) ? "1" : "0") + "," +
				      quoted(POINTER_TYPE_P(type) ? type_name(TREE_TYPE(type)).c_str() : "")));
	}

	basic_block bb;

	FOR_EACH_BB_FN(bb, fun) {
		std::string phis, statements, edges;

		for (gphi_iterator i = gsi_start_phis(bb); !gsi_end_p(i); gsi_next(&i)) {
			gphi *phi = i.phi();
			tree result = gimple_phi_result(phi);
			std::string arguments;

			if (virtual_operand_p(result))
				continue;
			for (unsigned int j = 0; j < gimple_phi_num_args(phi); j++)
				join(arguments, list(operand(gimple_phi_arg_def(phi, j)) + "," +
						     number(gimple_phi_arg_edge(phi, j)->src->index) + "," +
						     positions(gimple_phi_arg_location(phi, j))));
			join(phis, "[" + operand(result) + "," + list(arguments) + "]");
		}
		for (gimple_stmt_iterator i = gsi_start_bb(bb); !gsi_end_p(i); gsi_next(&i)) {
			const std::string text = statement(gsi_stmt(i));

			if (!text.empty())
				join(statements, text);
		}

		edge e;
		edge_iterator ei;

		FOR_EACH_EDGE(e, ei, bb->succs) {
			const char *kind = e->flags & EDGE_TRUE_VALUE  ? "t" :
					   e->flags & EDGE_FALSE_VALUE ? "f" :
					   e->flags & EDGE_ABNORMAL    ? "a" :
									 "";

			join(edges, list(number(e->dest->index) + "," + quoted(kind)));
		}
		join(blocks, "{\"i\":" + number(bb->index) + ",\"phis\":" + list(phis) + ",\"s\":" + list(statements) +
				     ",\"to\":" + list(edges) + "}");
	}

	tree result = DECL_RESULT(decl);
	tree type = TREE_TYPE(TREE_TYPE(decl));
	const char *kind = VOID_TYPE_P(type)		      ? "void" :
			   result && DECL_BY_REFERENCE(result) ? "place" :
			   AGGREGATE_TYPE_P(type)	      ? "struct" :
			   POINTER_TYPE_P(type)		      ? "pointer" :
								"number";

	const struct cgraph_node *node = cgraph_node::get(decl);

	fprintf(out, "{\"name\":%s,\"sym\":%s,\"at\":%s,\"returns\":\"%s\",\"type\":%s,\"of\":%s,\"takes\":%s,"
		     "\"taken\":%d,\"params\":[%s],\"blocks\":[%s]}\n",
		quoted(name_of(decl).c_str()).c_str(), quoted(symbol_of(decl).c_str()).c_str(),
		position(DECL_SOURCE_LOCATION(decl)).c_str(), kind, quoted(type_name(type).c_str()).c_str(),
		role(decl).c_str(), quoted(takes(decl).c_str()).c_str(), node && node->address_taken ? 1 : 0,
		parameters.c_str(), blocks.c_str());
}

const pass_data data = {GIMPLE_PASS, "unidax_lower", OPTGROUP_NONE, TV_NONE, PROP_cfg | PROP_ssa, 0, 0, 0, 0};

class Lower : public gimple_opt_pass {
public:
	explicit Lower(gcc::context *context) : gimple_opt_pass(data, context) {}

	unsigned int execute(struct function *fun) override
	{
		function(fun);
		return 0;
	}
};

/* All functions are written, and the rest of the compilation says nothing more. */
void finish(void *, void *)
{
	if (!out)
		return;
	/* Its presence says that the list is complete. */
	fprintf(out, "{\"end\":1}\n");
	fclose(out);
	out = nullptr;
	if (!seen_error())
		exit(0);
}

} // namespace

int plugin_init(plugin_name_args *arguments, plugin_gcc_version *version)
{
	if (!plugin_default_version_check(version, &gcc_version) || atoi(version->basever) != known_major) {
		fprintf(stderr, "lower: gcc %s is not gcc %d, for which this was made\n", version->basever, known_major);
		return 1;
	}
	for (int i = 0; i < arguments->argc; i++) {
		const std::string key = arguments->argv[i].key;

		if (key == "out") {
			out = fopen(arguments->argv[i].value, "w");
		}
	}
	if (!out) {
		fprintf(stderr, "lower: no file to write to: out=FILE\n");
		return 1;
	}

	static register_pass_info pass;

	pass.pass = new Lower(g);
	pass.reference_pass_name = "ssa";
	pass.ref_pass_instance_number = 1;
	pass.pos_op = PASS_POS_INSERT_AFTER;
	register_callback(arguments->base_name, PLUGIN_PASS_MANAGER_SETUP, nullptr, &pass);
	register_callback(arguments->base_name, PLUGIN_EARLY_GIMPLE_PASSES_END, finish, nullptr);
	return 0;
}
