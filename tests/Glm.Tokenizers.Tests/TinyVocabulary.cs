using System.Text;

namespace Glm.Tokenizers.Tests;

/// <summary>A vocabulary trained in a moment on sentences put together from a few parts.</summary>
internal static class TinyVocabulary
{
    public const int Size = 700;

    private static readonly string[] Subjects = ["The teacher", "My neighbour", "An old sailor", "The committee", "老师", "邻居", "水手们", "委员会"];
    private static readonly string[] Verbs = [" explained", " didn't remember", " is discussing", " repaired", "讲解了", "不记得", "正在讨论", "修好了"];
    private static readonly string[] Objects = [" the tokenizer", " three languages", " an electric engine", " 2022's weather", "分词器", "三种语言", "一台发动机", "今年的天气"];
    private static readonly string[] Ends = [".\n", ", and laughed.\n", "; it cost $15.\n\n", "    # indented\n", "。\n", "，大家都笑了。\n", "！花了15元。\n\n", "？\n"];

    public static UnigramTrainerOptions Options { get; } = new() { VocabularySize = Size, Threads = 2 };

    public static SentencePieceModel Model { get; } = UnigramTrainer.Train(Texts(), Options);

    public static GlmTokenizer Tokenizer { get; } = new(Model);

    /// <summary>The training texts: every combination of the parts, English with English and Chinese with Chinese, thrice.</summary>
    public static IEnumerable<string> Texts()
    {
        for (int round = 0; round < 3; round++)
            for (int language = 0; language < 2; language++)
                for (int i = 0; i < 256; i++)
                {
                    int Part(int digit) => 4 * language + (i >> (2 * digit)) % 4;
                    yield return new StringBuilder().Append(Subjects[Part(0)]).Append(Verbs[Part(1)]).Append(Objects[Part(2)]).Append(Ends[Part(3)]).ToString();
                }
    }
}
