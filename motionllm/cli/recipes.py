"""`motionllm recipes`: lists and prints the shipped recipes, and the reference of their keys."""

from __future__ import annotations

from typing import Annotated

import typer

from motionllm import shipped
from motionllm.cli import CONTEXT, check_used, emit

app = typer.Typer(add_completion=False, context_settings=CONTEXT)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback(invoke_without_command=True)
def recipes(
    ctx: typer.Context,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of recipes, every key explained, for editors.")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print every key of every kind of recipe as Markdown: docs/recipes.md.")
    ] = False,
    kind: Annotated[str, typer.Option(help="With --schema: train, improve, tokenizer, suite or embedder.")] = "train",
    as_json: Json = False,
) -> None:
    """List the shipped recipes; `recipes show NAME` prints one."""
    if ctx.invoked_subcommand is not None:
        return
    if not schema:
        check_used(ctx, "kind", "without --schema")
    if reference:
        check_used(ctx, "schema as_json", "with --reference, which prints Markdown")
        from motionllm.config import SCHEMAS
        from motionllm.config.reference import reference as page

        print(page(SCHEMAS), end="")
        return
    if schema:
        check_used(ctx, "as_json", "with --schema, which prints JSON")
        from motionllm.config import SCHEMAS, json_schema
        from motionllm.errors import MotionLLMError, unknown

        if kind not in SCHEMAS:
            raise MotionLLMError(unknown("kind of recipe", kind, SCHEMAS))
        print(json_schema(SCHEMAS[kind]))
        return
    from motionllm.app.workbench.orders import about_recipe

    about = {
        name: about_recipe(shipped.find("recipes", name).read_text("utf-8"))["about"]
        for name in shipped.names("recipes")
    }
    width = max(map(len, about), default=0)
    lines = "\n".join(f"{name:<{width}}  {text}" for name, text in about.items())
    emit({"recipes": [{"name": name, "about": text} for name, text in about.items()]}, as_json, lines)


@app.command(context_settings=CONTEXT)
def show(
    name: Annotated[str, typer.Argument(help="A shipped recipe's name, or a path.")], as_json: Json = False
) -> None:
    """Print a recipe."""
    from motionllm.files import read_text

    path = shipped.find("recipes", name)
    text = read_text(path, "recipe")
    emit({"name": path.stem, "path": path, "text": text}, as_json, text.rstrip("\n"))
