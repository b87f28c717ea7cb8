using System.CommandLine;
using Glm.Models;
using Glm.Tensors;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm info</c>: what a model is and what it takes, from its configuration and the headers of its files alone.</summary>
internal static class InfoCommand
{
    private static readonly (string Name, DType Type)[] Precisions =
        [("float32", DType.Float32), ("bf16", DType.BFloat16), ("int8", DType.Int8), ("int4", DType.Int4)];

    public static Command Create(Terminal terminal)
    {
        var path = new Argument<string>("PATH|PRESET")
        {
            Description = $"Directory of a model, or a shape without weights: {string.Join(", ", Presets.All.Keys)} (default: the shipped model)",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var json = Options.Json();
        return new ExampleCommand("info", "Architecture, parameters, sizes and tokenizer of a model; reads no weights", "glm info glm-130b", "glm info models/mine --json")
        {
            path, json,
        }.Does((parse, _) =>
        {
            var description = Describe(parse.GetValue(path));
            if (parse.GetValue(json)) terminal.WriteJson(description);
            else Show(terminal.Screen, description);
        });
    }

    private static ModelDescription Describe(string? path)
    {
        if (path is not null && !Directory.Exists(path) && Presets.Find(path) is { } preset) return new ModelDescription(path, preset);
        string directory = ModelLocation.OrShipped(path);
        if (!Directory.Exists(directory)) throw new GlmException($"{directory}: expected the directory of a model or one of {string.Join(", ", Presets.All.Keys)}");
        return new ModelDescription(directory, Glm130BConfig.Load(Path.Combine(directory, "config.json")));
    }

    private static void Show(IAnsiConsole screen, ModelDescription model)
    {
        var config = model.Config;
        var facts = new Grid().AddColumn(new GridColumn().PadRight(3).NoWrap()).AddColumn();
        void Fact(string name, string value) => facts.AddRow(new Markup($"[grey]{name}[/]"), new Text(value));
        Fact("model", model.Model);
        Fact("architecture", model.Architecture);
        Fact("parameters", $"{model.Parameters:N0}");
        Fact("layers", $"{config.NumLayers} of width {config.HiddenSize:N0}, inner {config.InnerHiddenSize:N0}, {config.NumAttentionHeads} heads of {config.HeadSize}");
        Fact("vocabulary", $"{config.VocabSize:N0} rows");
        Fact("positions", $"{config.MaxSequenceLength:N0}");
        screen.Write(facts);

        var sizes = new Table().Border(TableBorder.Rounded).AddColumn("precision")
            .AddColumn(new TableColumn("weights").RightAligned()).AddColumn(new TableColumn("bytes").RightAligned());
        foreach (var (name, bytes) in model.BytesByPrecision) sizes.AddRow(name, Units.Bytes(bytes), $"{bytes:N0}");
        screen.Write(sizes);
        screen.WriteLine($"KV cache per token: {string.Join(", ", model.KvBytesPerToken.Select(entry => $"{Units.Bytes(entry.Value)} in {entry.Key}"))}");
    }

    /// <summary>What <c>--json</c> prints.</summary>
    private sealed record ModelDescription(string Model, Glm130BConfig Config)
    {
        public string Architecture => Config.ModelType;

        public long Parameters => Config.ParameterCount;

        /// <summary>Size of the weights in 16 bits, or as they are stored.</summary>
        public long Bytes => ModelSize.WeightBytes(Config, DType.BFloat16);

        public Dictionary<string, long> BytesByPrecision => Precisions.ToDictionary(p => p.Name, p => ModelSize.WeightBytes(Config, p.Type));

        public Dictionary<string, long> KvBytesPerToken => Precisions.Take(2).ToDictionary(p => p.Name, p => ModelSize.CacheBytesPerToken(Config, p.Type));
    }
}
