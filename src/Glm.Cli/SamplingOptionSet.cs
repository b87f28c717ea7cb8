using System.CommandLine;
using Glm.Inference;

namespace Glm.Cli;

/// <summary>The options that say how tokens are chosen; their defaults are those of the original (spec 5.1).</summary>
internal sealed class SamplingOptionSet
{
    private static readonly FillOptions Standard = new();

    private readonly Option<string> _strategy = new Option<string>("--strategy")
    {
        HelpName = "greedy|sample|beam",
        Description = "How tokens are chosen",
        DefaultValueFactory = _ => "sample",
    }.AcceptOnlyFromAmong("greedy", "sample", "beam");

    private readonly Option<int> _maxNewTokens = Options.Number("--max-new-tokens", "N", "Most tokens per blank", Standard.MaxNewTokens, 1, int.MaxValue);
    private readonly Option<double> _temperature = Options.Number("--temperature", "T", "Sampling: below 1 is safer, above 1 is wilder", Standard.Temperature, 0, 1e6);
    private readonly Option<int> _topK = Options.Number("--top-k", "K", "Sampling: only the K most probable tokens; 0 for all", Standard.TopK, 0, int.MaxValue);
    private readonly Option<double> _topP = Options.Number("--top-p", "P", "Sampling: only the most probable tokens that together reach P; 0 for all", Standard.TopP, 0, 1.0);
    private readonly Option<int> _numBeams = Options.Number("--num-beams", "N", "Beam search: number of beams", Standard.NumBeams, 1, 1024);
    private readonly Option<double> _lengthPenalty = Options.Number("--length-penalty", "X", "Beam search: exponent of the length", Standard.LengthPenalty, -100, 100.0);
    private readonly Option<int> _noRepeatNgram = Options.Number("--no-repeat-ngram", "N", "Beam search: no N tokens in a row twice; 0 for no such rule", Standard.NoRepeatNgram, 0, 1024);
    private readonly Option<int> _minGenLength = Options.Number("--min-gen-length", "N", "Beam search: no end before so many tokens", Standard.MinGenLength, 0, int.MaxValue);
    private readonly Option<string[]> _stop = new("--stop") { HelpName = "TEXT", Description = "A blank ends before this text; may be given several times" };
    private readonly Option<ulong> _seed = Options.Seed();

    public void AddTo(Command command)
    {
        Option[] all = [_strategy, _maxNewTokens, _temperature, _topK, _topP, _numBeams, _lengthPenalty, _noRepeatNgram, _minGenLength, _stop, _seed];
        foreach (var option in all) command.Add(option);
    }

    public FillOptions Read(ParseResult parse) => new()
    {
        Strategy = parse.GetValue(_strategy) switch { "greedy" => StrategyKind.Greedy, "beam" => StrategyKind.Beam, _ => StrategyKind.Sample },
        MaxNewTokens = parse.GetValue(_maxNewTokens),
        Temperature = parse.GetValue(_temperature),
        TopK = parse.GetValue(_topK),
        TopP = parse.GetValue(_topP),
        NumBeams = parse.GetValue(_numBeams),
        LengthPenalty = parse.GetValue(_lengthPenalty),
        NoRepeatNgram = parse.GetValue(_noRepeatNgram),
        MinGenLength = parse.GetValue(_minGenLength),
        Stop = parse.GetValue(_stop) ?? [],
        Seed = parse.GetValue(_seed),
    };
}
