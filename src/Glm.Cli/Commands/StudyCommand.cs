using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Glm.Evaluation;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Cli.Commands;

/// <summary><c>glm study</c>: experiments of the paper on models of one's own.</summary>
internal static class StudyCommand
{
    private static readonly JsonSerializerOptions Form = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create(Terminal terminal) => new Command("study", "Experiments on models of one's own") { Quantization(terminal), ScalingStudyCommand.Create(terminal) };

    private static ExampleCommand Quantization(Terminal terminal)
    {
        var models = new Argument<string[]>("MODEL") { Description = "Directories of models with floating-point matrices (default: the one that ships)", Arity = ArgumentArity.ZeroOrMore };
        var data = new Option<string[]>("--data") { HelpName = "PATH", Description = "Text files (.txt, .jsonl; plain, .gz, .xz, .zst), or folders with valid*.jsonl* in them or in their pretrain/", Required = true, AllowMultipleArgumentsPerToken = true };
        var output = new Option<string>("--output") { HelpName = "DIR", Description = "Folder for the tables (.md), the numbers (.json) and the plots (.svg)" };
        var limit = new Option<int?>("--limit") { HelpName = "N", Description = "Most documents of a text" };
        limit.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1) result.AddError($"--limit: expected at least 1, found {result.GetValueOrDefault<int?>()}");
        });
        var (threads, json, quiet) = (Options.Threads(), Options.Json(), Options.Quiet());
        return new ExampleCommand("quantization", "What INT8 and INT4 cost: absmax and zero point, by row and by column, groups, blocks, integer activations; and how the weights lie",
            "glm study quantization --data valid-en.jsonl valid-zh.jsonl --limit 100", "glm study quantization models/glm models/bloom --data data/pretrain --output results/quantization")
        {
            models, data, output, limit, threads, json, quiet,
        }.Does((parse, cancellation) =>
        {
            string[] paths = [.. parse.GetRequiredValue(models).Select(path => (string?)path).DefaultIfEmpty(null).Select(ModelLocation.OrShipped)];
            var texts = parse.GetRequiredValue(data).SelectMany(HeldOutText.Files).Distinct().ToList();
            QuantizationStudy study;
            using (var line = new ProgressLine(terminal, parse.GetValue(quiet)))
                study = QuantizationStudy.Run(
                    Opened(terminal, paths, parse.GetValue(threads), parse.GetValue(quiet), cancellation), texts, parse.GetValue(limit),
                    new DirectProgress<StudyProgress>(state => line.Show($"{state.Model}: {state.Method}, {100 * state.Share:F0} % of the model's study")), cancellation);
            string tables = QuantizationReport.Markdown(study), numbers = JsonSerializer.Serialize(study, Form);
            if (parse.GetValue(output) is { } folder)
            {
                Write(Path.Combine(folder, "quantization.md"), tables);
                Write(Path.Combine(folder, "quantization.json"), numbers + "\n");
                foreach (var (key, plot) in QuantizationReport.Plots(study)) Write(Path.Combine(folder, key + ".svg"), plot.ToSvg());
            }
            if (parse.GetValue(json)) terminal.WriteJson(study);
            else terminal.Out.Write(tables);
        });
    }

    /// <summary>The models, each open while its turn lasts.</summary>
    private static IEnumerable<(string Name, LanguageModel Model, Tokenizer Tokenizer, Workers Workers)> Opened(Terminal terminal, string[] paths, int threads, bool quiet, CancellationToken cancellation)
    {
        foreach (string path in paths)
        {
            using var loaded = Opening.Load(terminal, path, threads, quiet: quiet, cancellation: cancellation);
            yield return (Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))), loaded.Model, loaded.Tokenizer, loaded.Workers);
        }
    }

    private static void Write(string path, string text) => AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
}
