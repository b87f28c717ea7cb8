using System.CommandLine;
using Glm.Inference;

namespace Glm.Cli;

/// <summary>
/// The options that say how tokens are chosen. Blanks are filled with the defaults of the original (spec 5.1); a chat has those of each model, and no beams.
/// </summary>
internal sealed class SamplingOptionSet
{
    private static readonly FillOptions Standard = new();

    private readonly bool _chat;
    private readonly Option<string> _strategy;
    private readonly Option<int> _maxNewTokens, _topK;
    private readonly Option<double> _temperature, _topP;
    private readonly Option<int> _numBeams = Options.Number("--num-beams", "N", "Beam search: number of beams", Standard.NumBeams, 1, 1024);
    private readonly Option<double> _lengthPenalty = Options.Number("--length-penalty", "X", "Beam search: exponent of the length", Standard.LengthPenalty, -100, 100.0);
    private readonly Option<int> _noRepeatNgram = Options.Number("--no-repeat-ngram", "N", "Beam search: no N tokens in a row twice; 0 for no such rule", Standard.NoRepeatNgram, 0, 1024);
    private readonly Option<int> _minGenLength = Options.Number("--min-gen-length", "N", "Beam search: no end before so many tokens", Standard.MinGenLength, 0, int.MaxValue);
    private readonly Option<string[]> _stop = new("--stop") { HelpName = "TEXT", Description = "A blank ends before this text; may be given several times" };
    private readonly Option<ulong> _seed = Options.Seed();

    public SamplingOptionSet(bool chat = false)
    {
        _chat = chat;
        string[] strategies = chat ? ["greedy", "sample"] : ["greedy", "sample", "beam"];
        _strategy = OfModel(new Option<string>("--strategy")
        {
            HelpName = string.Join('|', strategies),
            Description = "How tokens are chosen",
            DefaultValueFactory = _ => "sample",
        }.AcceptOnlyFromAmong(strategies));
        _maxNewTokens = OfModel(Options.Number("--max-new-tokens", "N", $"Most tokens per {(chat ? "answer" : "blank")}", Standard.MaxNewTokens, 1, int.MaxValue));
        _temperature = OfModel(Options.Number("--temperature", "T", "Sampling: below 1 is safer, above 1 is wilder", Standard.Temperature, 0, 1e6));
        _topK = OfModel(Options.Number("--top-k", "K", "Sampling: only the K most probable tokens; 0 for all", Standard.TopK, 0, int.MaxValue));
        _topP = OfModel(Options.Number("--top-p", "P", "Sampling: only the most probable tokens that together reach P; 0 for all", Standard.TopP, 0, 1.0));
    }

    public void AddTo(Command command)
    {
        Option[] all = [_strategy, _maxNewTokens, _temperature, _topK, _topP, .. _chat ? Array.Empty<Option>() : [_numBeams, _lengthPenalty, _noRepeatNgram, _minGenLength, _stop], _seed];
        foreach (var option in all) command.Add(option);
    }

    /// <summary>The options for blanks.</summary>
    public FillOptions Read(ParseResult parse) => Read(parse, Standard) with
    {
        NumBeams = parse.GetValue(_numBeams),
        LengthPenalty = parse.GetValue(_lengthPenalty),
        NoRepeatNgram = parse.GetValue(_noRepeatNgram),
        MinGenLength = parse.GetValue(_minGenLength),
        Stop = parse.GetValue(_stop) ?? [],
    };

    /// <summary>The options that were given, for the others those of <paramref name="standard"/>.</summary>
    public FillOptions Read(ParseResult parse, FillOptions standard) => standard with
    {
        Strategy = parse.GetValue(_strategy) switch
        {
            "greedy" => StrategyKind.Greedy,
            "sample" => StrategyKind.Sample,
            "beam" => StrategyKind.Beam,
            _ => standard.Strategy,
        },
        MaxNewTokens = Given(parse, _maxNewTokens, standard.MaxNewTokens),
        Temperature = Given(parse, _temperature, standard.Temperature),
        TopK = Given(parse, _topK, standard.TopK),
        TopP = Given(parse, _topP, standard.TopP),
        Seed = parse.GetValue(_seed),
    };

    private Option<T> OfModel<T>(Option<T> option)
    {
        if (!_chat) return option;
        option.DefaultValueFactory = null;
        option.Description += " (default: the model's own)";
        return option;
    }

    private static T Given<T>(ParseResult parse, Option<T> option, T standard) => parse.GetResult(option) is { Implicit: false } ? parse.GetValue(option)! : standard;
}
