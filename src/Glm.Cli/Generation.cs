using Glm.Inference;

namespace Glm.Cli;

/// <summary>Fills blanks, or continues texts where the model is causal, and shows it: as it happens on a terminal, as plain text anywhere else.</summary>
internal sealed class Generation(Terminal terminal, LoadedModel model, FillOptions options, bool quiet, CancellationToken cancellation)
{
    private readonly Filling _fill = model.Model.IsCausal
        ? new TextContinuer(model.NewSession(), model.Tokenizer).Continue : new BlankFiller(model.NewSession(), model.Tokenizer).Fill;

    private delegate FilledText Filling(string text, FillOptions options, Action<BlankPiece>? onPiece, CancellationToken cancellation);

    /// <summary>Fills the blanks of a text, or continues it.</summary>
    public FilledText Fill(string prompt, Action<BlankPiece>? onPiece = null) => _fill(prompt, options, onPiece, cancellation);

    /// <summary>Fills the blanks of a text, or continues it, and prints it.</summary>
    public void Print(string prompt)
    {
        FilledText filled;
        if (terminal.Screen.Profile.Capabilities.Ansi)
        {
            var stream = new BlankPrinter(terminal, BlankFiller.Around(model.Tokenizer, prompt));
            filled = Fill(prompt, stream.Add);
            stream.Finish();
        }
        else
        {
            filled = Fill(prompt);
            terminal.Out.WriteLine(filled.Beams[0].Text);
        }
        var timings = new Timings(filled, model.LoadTime);
        if (!quiet) terminal.Error.WriteLine($"{timings.NewTokens} tokens, {timings.TokensPerSecond:F1} tok/s; {timings.PromptTokens} tokens read in {timings.PromptS:F2} s; loaded in {timings.LoadS:F2} s");
    }

    /// <summary>What <c>--json</c> prints of a result.</summary>
    public object Describe(FilledText filled, string? id = null)
    {
        var best = filled.Beams[0];
        return new
        {
            Id = id,
            best.Text,
            best.Ids,
            Blanks = best.BlankTexts,
            Beams = options.Strategy == StrategyKind.Beam ? filled.Beams.Select(beam => new { beam.Text, beam.Score }) : null,
            Timings = new Timings(filled, model.LoadTime),
        };
    }

    /// <summary>How long a result took, over all its blanks.</summary>
    private sealed class Timings(FilledText filled, TimeSpan load)
    {
        public double LoadS { get; } = load.TotalSeconds;

        public double PromptS { get; } = filled.Fills.Sum(fill => fill.Decoding.PromptTime.TotalSeconds);

        public double GenerateS { get; } = filled.Fills.Sum(fill => fill.Decoding.StepTime.TotalSeconds);

        public int PromptTokens { get; } = filled.Fills.Sum(fill => fill.Context.Ids.Length);

        public int NewTokens { get; } = filled.Fills.Sum(fill => fill.Decoding.Steps);

        /// <summary>The first token of a blank comes with the context; the others take a step each.</summary>
        public double TokensPerSecond => GenerateS > 0 ? (NewTokens - filled.Fills.Count(fill => fill.Decoding.Steps > 0)) / GenerateS : 0;
    }
}
