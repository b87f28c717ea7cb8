using System.CommandLine;
using System.Diagnostics;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Cli.Commands;

/// <summary><c>glm convert</c>: a model in another format, precision or number of ranks.</summary>
internal static class ConvertCommand
{
    private const string GgufExtension = ".gguf";

    public static Command Create(Terminal terminal)
    {
        var source = new Argument<string>("SRC") { Description = "Directory or GGUF file of the model; the original's checkpoints with latest, too" };
        var destination = new Argument<string>("DST") { Description = "Directory to write; for GGUF, the file" };
        var format = new Option<string?>("--format")
        {
            HelpName = "native|safetensors|torch|sat|gguf",
            Description = "native: ours; safetensors, torch: as hubs have it; sat: GLM-130B's own; gguf: ChatGLM2, ChatGLM3 and GLM-4 (default: gguf for a DST of that ending, otherwise native)",
        }.AcceptOnlyFromAmong("native", "safetensors", "torch", "sat", "gguf");
        var ranks = new Option<int?>("--tensor-parallel")
        {
            HelpName = "N",
            Description = "Ranks of a sat checkpoint, a multiple or divisor of the source's (default: as many as the source has)",
            CustomParser = result =>
            {
                if (int.TryParse(result.Tokens[^1].Value, out int count) && count is > 0 and <= 4096) return count;
                result.AddError($"--tensor-parallel: expected a number from 1 to 4096, found {result.Tokens[^1].Value}");
                return null;
            },
        };
        var quantize = new Option<string?>("--quantize")
        {
            HelpName = "int8|int4|q8_0|q4_0",
            Description = "How matrices are stored: int8 and int4 with a scale for each row and rank, as the original does; q8_0 and q4_0 are the blocks of GGUF",
        }.AcceptOnlyFromAmong("int8", "int4", "q8_0", "q4_0");
        var type = new Option<string?>("--dtype") { HelpName = "fp32|fp16|bf16", Description = "Type of what is not quantised (default: as it is stored)" }.AcceptOnlyFromAmong("fp32", "fp16", "bf16");
        var requantize = new Option<bool>("--requantize") { Description = "Expand the matrices of a quantised source first, to quantise them anew, to change their ranks, or to have them dense" };
        var threads = Options.Threads();
        var json = Options.Json();
        var quiet = Options.Quiet();
        return new ExampleCommand("convert", "Save a model in another format, precision or number of ranks, tensor by tensor; repeated, it goes on where it was interrupted",
            "glm convert models/mine models/mine-int4 --quantize int4", "glm convert glm-130b-sat glm-130b-int4 --format sat --tensor-parallel 4 --quantize int4",
            "glm convert chatglm3-6b chatglm3-6b-q4_0.gguf --quantize q4_0", "glm convert chatglm3-6b-q8_0.gguf chatglm3-6b --format safetensors --dtype fp16")
        {
            source, destination, format, ranks, quantize, type, requantize, threads, json, quiet,
        }.Does((parse, cancellation) =>
        {
            string from = parse.GetRequiredValue(source), to = parse.GetRequiredValue(destination);
            var kind = Enum.Parse<ConversionFormat>(parse.GetValue(format) ?? (to.EndsWith(GgufExtension, StringComparison.OrdinalIgnoreCase) ? "gguf" : "native"), ignoreCase: true);
            var options = new ConversionOptions
            {
                Format = kind,
                TensorParallel = parse.GetValue(ranks),
                Quantize = parse.GetValue(quantize) is { } name ? Enum.Parse<DType>(name, ignoreCase: true) : null,
                Type = parse.GetValue(type) switch { "fp32" => DType.Float32, "fp16" => DType.Float16, "bf16" => DType.BFloat16, _ => null },
                Requantize = parse.GetValue(requantize),
                Companions = Tokenizer.FileNames,
                TokenizerModel = kind == ConversionFormat.Gguf ? null : VocabularyLocation.AsFile(from),
                Vocabulary = kind == ConversionFormat.Gguf ? VocabularyLocation.AsMetadata(from) : null,
            };
            using var workers = new Workers(parse.GetValue(threads));
            using var line = new ProgressLine(terminal, parse.GetValue(quiet));
            var rate = new TransferRate();
            long start = Stopwatch.GetTimestamp();
            var result = ModelConversion.Run(from, to, options, workers, new DirectProgress<ConversionProgress>(state => line.Show(Describe(state, rate))), cancellation);
            var time = Stopwatch.GetElapsedTime(start);
            line.Dispose();
            bool hasVocabulary = kind == ConversionFormat.Gguf ? options.Vocabulary is not null : result.Companions.Count > 0;
            if (!hasVocabulary && !parse.GetValue(quiet)) terminal.Error.WriteLine($"glm: {to} has no vocabulary: {from} has none, or none that this format can hold");
            if (parse.GetValue(json))
                terminal.WriteJson(new
                {
                    result.Output, Format = kind.ToString().ToLowerInvariant(), result.Architecture, result.Files, result.ResumedFiles, result.Bytes, Vocabulary = hasVocabulary, Seconds = Math.Round(time.TotalSeconds, 3),
                });
            else
                terminal.Out.WriteLine($"{to}: {Units.Bytes(result.Bytes)} of tensors in {result.Files} {(result.Files == 1 ? "file" : "files")}{(result.ResumedFiles > 0 ? $", {result.ResumedFiles} of them from before" : "")}, {Units.Duration(time)}");
        });
    }

    private static string Describe(ConversionProgress state, TransferRate rate)
    {
        double speed = rate.BytesPerSecond(state.DoneBytes);
        string left = speed > 0 ? $", {Units.Bytes((long)speed)}/s, {Units.Duration(TimeSpan.FromSeconds((state.TotalBytes - state.DoneBytes) / speed))} left" : "";
        return $"{Units.Bytes(state.DoneBytes)} of {Units.Bytes(state.TotalBytes)}{left}";
    }
}
