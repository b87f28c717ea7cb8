namespace Glm.Tokenizers;

/// <summary>The special tokens of published models, which their vocabulary files do not hold (ChatGLM spec 6.4, 7.4, 8.4, 12).</summary>
internal static class KnownSpecials
{
    private static readonly string[] RoleNames = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"];

    /// <summary>ChatGLM2 and ChatGLM3: five tokens after the pieces, and ChatGLM3's roles.</summary>
    public static SpecialTokens ChatGlm2(int pieces, bool roles)
    {
        string[] names = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", .. roles ? RoleNames : []];
        return new SpecialTokens
        {
            Names = Named(names, pieces).Append(new("</s>", 2)).ToDictionary(),
            Before = [pieces + 1, pieces + 3],
            End = roles ? [2, pieces + 6, pieces + 8] : [2],
            Pad = 0,
            Roles = roles ? new RoleTokens(pieces + 5, pieces + 6, pieces + 7, pieces + 8) : null,
        };
    }

    /// <summary>GLM-4: fourteen tokens after the ranks.</summary>
    public static SpecialTokens Glm4(int ranks)
    {
        string[] names = ["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", .. RoleNames,
            "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"];
        return new SpecialTokens
        {
            Names = Named(names, ranks),
            Before = [ranks + 2, ranks + 4],
            End = [ranks, ranks + 7, ranks + 9],
            Pad = ranks,
            Roles = new RoleTokens(ranks + 6, ranks + 7, ranks + 8, ranks + 9),
        };
    }

    /// <summary>The Chinese small GLMs. Of the two published numberings this is the one without a collision; a file of added tokens overrides it.</summary>
    public static SpecialTokens GlmChinese(int pieces, IReadOnlyDictionary<string, int> added) => SmallGlm(
        Named(["<|endoftext|>", "[SEP]", "[CLS]", "[MASK]", "[UNK]", "[UNUSED1]", "<|startofpiece|>", "<|endofpiece|>", "[sMASK]", "[gMASK]"], pieces), added, after: "<|endoftext|>", eos: "<|endoftext|>") with { MasksTakeSpaceBefore = true };

    /// <summary>GLM-10B and GLM-2B over GPT-2's vocabulary, whose last id is the end of a text.</summary>
    public static SpecialTokens GlmGpt2(int tokens, IReadOnlyDictionary<string, int> added) => SmallGlm(
        Named(["<|endoftext|>", "<|startofpiece|>", "<|endofpiece|>", "[CLS]", "[MASK]", "[SEP]", "[UNK]", "[gMASK]", "[sMASK]"], tokens - 1), added, after: "<|endoftext|>", eos: "<|endoftext|>") with { MasksTakeSpaceBefore = true };

    /// <summary>GLM-RoBERTa-Large.</summary>
    public static SpecialTokens GlmRoberta(int tokens, IReadOnlyDictionary<string, int> added) => SmallGlm(
        new() { ["[CLS]"] = 0, ["[PAD]"] = 1, ["</s>"] = 2, ["[UNK]"] = 3, ["[MASK]"] = tokens - 1, ["<|startofpiece|>"] = tokens, ["<|endofpiece|>"] = tokens + 1 }, added, after: "</s>", eos: "</s>") with { MasksTakeSpaceBefore = true };

    /// <summary>GLM-Base and GLM-Large over BERT's vocabulary, in which <paramref name="id"/> finds a token.</summary>
    public static SpecialTokens GlmBert(int tokens, Func<string, int> id, IReadOnlyDictionary<string, int> added)
    {
        var names = new[] { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" }.ToDictionary(name => name, id);
        (names["<|startofpiece|>"], names["<|endofpiece|>"]) = (tokens, tokens + 1);
        return SmallGlm(names, added, after: "[SEP]", eos: "[PAD]");
    }

    /// <summary>OPT: every text begins with <c>&lt;/s&gt;</c>.</summary>
    public static SpecialTokens Opt() => new()
    {
        Names = Named(["<s>", "<pad>", "</s>", "<unk>"], 0),
        Before = [2],
        End = [2],
        Pad = 1,
    };

    /// <summary>BLOOM.</summary>
    public static SpecialTokens Bloom() => new()
    {
        Names = Named(["<unk>", "<s>", "</s>", "<pad>"], 0),
        End = [2],
        Pad = 3,
    };

    // A text stands between [CLS] and the token after it, what fills a blank between <|startofpiece|> and <|endofpiece|>; eos is padding as well.
    private static SpecialTokens SmallGlm(Dictionary<string, int> names, IReadOnlyDictionary<string, int> added, string after, string eos)
    {
        foreach (var (name, id) in added) names[name] = id;
        return new SpecialTokens
        {
            Names = names,
            Before = [names["[CLS]"]],
            After = [names[after]],
            End = [names["<|endofpiece|>"], names[eos]],
            Pad = names[eos],
            Blanks = new BlankTokens(names["[MASK]"], Optional("[gMASK]"), Optional("[sMASK]"), names["<|startofpiece|>"], names["<|endofpiece|>"], names[eos]),
        };

        int? Optional(string name) => names.TryGetValue(name, out int id) ? id : null;
    }

    private static Dictionary<string, int> Named(string[] names, int first) => names.Select((name, i) => (name, first + i)).ToDictionary(pair => pair.name, pair => pair.Item2);
}
