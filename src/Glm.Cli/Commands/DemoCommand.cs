using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm demo</c>: what the shipped model can do, in under a minute.</summary>
internal sealed class DemoCommand
{
    private static readonly DType[] Precisions = [DType.BFloat16, DType.Int8, DType.Int4];

    private readonly Terminal _terminal;
    private readonly LoadedModel _loaded;
    private readonly CancellationToken _cancellation;

    private DemoCommand(Terminal terminal, LoadedModel loaded, CancellationToken cancellation)
    {
        _terminal = terminal;
        _loaded = loaded;
        _cancellation = cancellation;
    }

    public static Command Create(Terminal terminal)
    {
        var model = Options.Model();
        var threads = Options.Threads();
        return new ExampleCommand("demo", "See the shipped model fill blanks and go on, in both languages and three precisions", "glm demo")
        {
            model, threads,
        }.Does((parse, cancellation) =>
        {
            var clock = Stopwatch.StartNew();
            using var loaded = Opening.Load(terminal, parse.GetValue(model), parse.GetValue(threads), quiet: true, cancellation: cancellation);
            new DemoCommand(terminal, loaded, cancellation).Run();
            terminal.Screen.MarkupLineInterpolated($"[grey]{Units.Duration(clock.Elapsed)} in all. Your own text: glm generate \"The sea was [[MASK]].\"[/]");
        });
    }

    private void Run()
    {
        var (screen, config) = (_terminal.Screen, _loaded.Model.Config);
        Heading($"Glm.NET with {Path.GetFileName(Path.TrimEndingDirectorySeparator(_loaded.Path))}");
        screen.MarkupLineInterpolated($"[bold]{config.ParameterCount:N0}[/] parameters, {config.Shape.Layers} layers of width {config.Shape.Hidden}; loaded in {_loaded.LoadTime.TotalSeconds:F2} s; {_loaded.Workers.Threads} threads, {Isa.CurrentName}");
        double times = (double)Presets.Find("glm-130b")!.ParameterCount / config.ParameterCount;
        screen.MarkupLineInterpolated($"[grey]It is tiny and says silly things: GLM-130B, the same architecture in the same code, has {times:N0} times as many.[/]");

        Heading("[MASK]: a word is filled in, with the text on both sides in view");
        foreach (string prompt in Lines("blanks")) Show(prompt, LikeliestWords(prompt));

        Heading("[gMASK]: a text is continued");
        var continuation = new FillOptions { Temperature = 0.7, TopK = 20, TopP = 0.9, MaxNewTokens = 48 };
        foreach (string prompt in Lines("beginnings")) Show(prompt, [Fill(prompt, continuation).Beams[0].BlankTexts![0].TrimEnd()]);

        Heading("Three precisions, made from the same weights just now");
        screen.Write(ComparePrecisions());
        double embedding = (double)config.Shape.Vocabulary * config.Shape.Hidden / config.ParameterCount;
        screen.MarkupLineInterpolated($"[grey]Bits per byte (less is better) of two short texts that were written for this demo. INT8 and INT4 store the matrices of the layers, row by row as the original does; the embedding, {embedding:P0} of this model's parameters, stays in 16 bits.[/]");
    }

    private void Heading(string text)
    {
        _cancellation.ThrowIfCancellationRequested();
        _terminal.Screen.WriteLine();
        _terminal.Screen.Write(new Rule(Markup.Escape(text)) { Justification = Justify.Left, Style = new Style(Color.Grey) });
    }

    private FilledText Fill(string prompt, FillOptions options) =>
        new BlankFiller(_loaded.NewSession(), _loaded.Tokenizer).Fill(prompt, options, onPiece: null, _cancellation);

    /// <summary>The best few fills that hold a letter, which a small model often puts after a comma or a space; without any, the best fill.</summary>
    private IReadOnlyList<string> LikeliestWords(string prompt)
    {
        var options = new FillOptions { Strategy = StrategyKind.Beam, NumBeams = 16, MinGenLength = 1, MaxNewTokens = 4 };
        string[] fills = [.. Fill(prompt, options).Beams.Select(beam => beam.BlankTexts![0])];
        string[] words = [.. fills.Where(fill => fill.Any(char.IsLetter)).Take(3)];
        return words.Length > 0 ? words : fills[..1];
    }

    /// <summary>A text with its best fill, in colour or in guillemets where there is none, and the next best ones behind it.</summary>
    private void Show(string prompt, IReadOnlyList<string> fills)
    {
        bool colour = _terminal.Screen.Profile.Capabilities.ColorSystem != ColorSystem.NoColors;
        var around = BlankFiller.Around(_loaded.Tokenizer, prompt);
        string[] visible = [.. fills.Select(Terminal.Printable)];
        var text = new Paragraph(around[0]);
        string best = visible[0].TrimStart(' ');
        text.Append(visible[0][..^best.Length]);
        text.Append(colour ? best : $"«{best}»", new Style(Color.Aqua, decoration: Decoration.Bold));
        text.Append(around[1]);
        if (visible.Length > 1) text.Append($"  or: {string.Join(", ", visible.Skip(1).Select(fill => fill.Trim()))}", new Style(Color.Grey));
        _terminal.Screen.Write(new Padder(text).Padding(2, 0, 0, 0));
    }

    private Table ComparePrecisions()
    {
        using var line = new ProgressLine(_terminal, quiet: false);
        line.Show("measuring ...");
        var models = Precisions.Select(type => _loaded.In(type, progress: null, _cancellation).Packed(_loaded.Workers)).ToList();
        double[] speeds = DecodingSpeeds(models);
        var table = new Table().Border(TableBorder.Rounded).BorderColor(Color.Grey).AddColumn("precision");
        foreach (string column in new[] { "weights", "decoding", "English", "Chinese" }) table.AddColumn(new TableColumn(column).RightAligned());
        for (int i = 0; i < models.Count; i++)
        {
            string Bits(string text) => $"{BitsPerByte(models[i], text).ToString("F3", CultureInfo.InvariantCulture)} bits/byte";
            table.AddRow(Units.Name(Precisions[i]), Units.Bytes(ModelSize.WeightBytes(models[i])), $"{speeds[i]:N0} tok/s", Bits("english"), Bits("chinese"));
        }
        return table;
    }

    private double BitsPerByte(LanguageModel model, string resource)
    {
        string text = Resource(resource);
        float[] scores = new Scorer(model, _loaded.Workers, _loaded.Tokenizer.Special).Score(_loaded.Tokenizer.Encode(text), _cancellation);
        return Scorer.BitsPerByte(-scores.Sum(score => (double)score), Encoding.UTF8.GetByteCount(text));
    }

    /// <summary>Tokens per second, one after the other: the best of some rounds in which all take turns, because other programs only make it slower.</summary>
    private double[] DecodingSpeeds(IReadOnlyList<LanguageModel> models)
    {
        const int Rounds = 5, Tokens = 64;
        var special = _loaded.Tokenizer.Blanks;
        int[] ids = [.. _loaded.Tokenizer.Encode(Lines("beginnings")[0]), special.Continuation, special.Sop];
        var context = new DecodingContext(ids, new BlankPlace(ids.Length - 1, ids.Length - 2, RunsOn: true));
        double[] best = new double[models.Count];
        for (int round = 0; round < Rounds; round++)
            for (int i = 0; i < models.Count; i++)
            {
                var strategy = new SamplingStrategy(new SamplingOptions { Temperature = 0, EndTokens = [] });
                var result = Decoding.Run(_loaded.NewSession(models[i]), strategy, context, Tokens, onToken: null, _cancellation);
                best[i] = Math.Max(best[i], (result.Steps - 1) / result.StepTime.TotalSeconds);
            }
        return best;
    }

    private static IReadOnlyList<string> Lines(string resource) => Resource(resource).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static string Resource(string name)
    {
        using var reader = new StreamReader(typeof(DemoCommand).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }
}
