using System.CommandLine;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Cli.Commands;

/// <summary><c>glm convert</c>: saves a model with its matrices quantised.</summary>
internal static class ConvertCommand
{
    public static Command Create(Terminal terminal)
    {
        var source = new Argument<string>("SRC") { Description = "Directory of the model" };
        var destination = new Argument<string>("DST") { Description = "Directory to write" };
        var quantize = new Option<string>("--quantize") { HelpName = "int8|int4", Description = "How the matrices of the layers are stored, each row with its own scale", Required = true }.AcceptOnlyFromAmong("int8", "int4");
        var threads = Options.Threads();
        var quiet = Options.Quiet();
        return new ExampleCommand("convert", "Save a model in another precision", "glm convert models/mine models/mine-int4 --quantize int4")
        {
            source, destination, quantize, threads, quiet,
        }.Does((parse, cancellation) =>
        {
            string from = parse.GetRequiredValue(source), to = parse.GetRequiredValue(destination);
            using var loaded = LoadedModel.Open(terminal, from, parse.GetValue(threads), quiet: parse.GetValue(quiet), cancellation: cancellation);
            using var line = new ProgressLine(terminal, parse.GetValue(quiet));
            var progress = new DirectProgress<double>(done => line.Show($"{done:P0} of the matrices"));
            var model = loaded.In(parse.GetValue(quantize) == "int8" ? DType.Int8 : DType.Int4, progress, cancellation);
            ModelDirectory.Save(to, model, tokenizer: Tokenizer.FileOf(from), cancel: cancellation);
            line.Dispose();
            terminal.Out.WriteLine($"{to}: {Units.Bytes(ModelDirectory.Inventory(to).Values.Sum(type => type.Bytes))}");
        });
    }
}
